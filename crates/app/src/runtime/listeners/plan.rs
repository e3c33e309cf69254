//! What the listeners are to become, and where each listens.

use std::{collections::BTreeMap, net::SocketAddr};

use hezar_gateway::{GatewayConfig, ListenerKind, ListenerSockets, PortRange};
use hezar_pool::{Filter, FilterId};
use tokio::net::{TcpListener, UdpSocket};

use crate::{
    config::Config,
    convert,
    inherited_sockets::{BoundSocket, SocketPlace, SocketProtocol},
};

/// A listener that is open.
#[derive(Clone)]
pub(super) struct Open {
    /// Its settings; `listen` is what the configuration says.
    pub(super) config: GatewayConfig,
    pub(super) filter: Option<Filter>,
    /// Where it really listens.
    pub(super) address: SocketAddr,
}

impl Open {
    /// Every place at which it listens, those of its own address in front.
    pub(super) fn places(&self) -> impl Iterator<Item = SocketPlace> + use<> {
        let address = self.address;
        let own = protocols(&self.config).iter().map(move |protocol| SocketPlace { protocol: *protocol, address });
        own.chain(port_places(&self.config))
    }

    /// Whether it goes on where it is when it gets these settings. What clients have agreed on over UDP cannot be changed while it runs.
    pub(super) fn stays_with(&self, config: &GatewayConfig) -> bool {
        let (before, protocols) = (&self.config, protocols(config));
        let is_same = before.inbound == config.inbound && before.tls == config.tls;
        before.listen == config.listen
            && self::protocols(before) == protocols
            && (is_same || !protocols.contains(&SocketProtocol::Udp))
    }
}

/// What the sockets of a listener's own address receive.
pub(super) fn protocols(config: &GatewayConfig) -> &'static [SocketProtocol] {
    let kind = config.inbound.as_ref().map_or(ListenerKind::Mixed, |inbound| inbound.protocol.kind());
    SocketProtocol::of(kind)
}

/// The places of the ports beside a listener's own address.
pub(super) fn port_places(config: &GatewayConfig) -> impl Iterator<Item = SocketPlace> + use<> {
    let ip = config.listen.ip();
    let ports = config.ports.into_iter().flat_map(PortRange::ports);
    ports.map(move |port| SocketPlace::tcp(SocketAddr::new(ip, port)))
}

/// What the listeners are to become. All addresses are bound and all filters are made, and nothing has changed yet.
pub(crate) struct Plan {
    pub(super) next: Vec<Planned>,
    /// The filters that were made for it.
    pub(super) made: Vec<FilterId>,
}

pub(super) struct Planned {
    pub(super) config: GatewayConfig,
    pub(super) filter: Option<Filter>,
    pub(super) place: Place,
    /// Ports beside the first one at which it does not listen yet.
    pub(super) ports: Vec<BoundSocket>,
}

impl Planned {
    /// Sockets that it does not have yet, by their places, kept once more.
    pub(super) fn new_sockets(&self) -> std::io::Result<BTreeMap<SocketPlace, BoundSocket>> {
        let own: &[BoundSocket] = match &self.place {
            Place::Stays(_) | Place::AtCore(_) => &[],
            Place::Bound(sockets) => sockets,
        };
        own.iter().chain(&self.ports).map(|socket| Ok((socket.place()?, socket.try_clone()?))).collect()
    }
}

/// What a configuration wants of one listener.
pub(super) struct Wanted {
    pub(super) config: GatewayConfig,
    pub(super) filter: Option<Filter>,
    /// Where another address can be said.
    pub(super) key: &'static str,
}

impl Wanted {
    /// All listeners of a configuration, the first one in front.
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let first = Self { config: convert::gateway(config), filter: None, key: "proxy.listen or --listen" };
        let others = config.listeners.iter().map(|listener| Self {
            config: convert::listener(config, listener, None),
            filter: Some(convert::filter(config, listener)),
            key: "listen of the [[listener]]",
        });
        std::iter::once(first).chain(others).collect()
    }
}

/// Where a listener is to listen.
pub(super) enum Place {
    /// Where it listens now.
    Stays(Box<Open>),
    /// On another address, or for the first time: the sockets of that address.
    Bound(Vec<BoundSocket>),
    /// A Clash core listens at this address; this process opens no socket there.
    AtCore(SocketAddr),
}

/// The sockets of one listener as the gateway serves them.
pub(super) fn listener_sockets(sockets: Vec<BoundSocket>) -> std::io::Result<ListenerSockets> {
    let mut served = ListenerSockets::default();
    for socket in sockets {
        match socket {
            BoundSocket::Tcp(socket) => served.tcp = Some(TcpListener::from_std(socket)?),
            BoundSocket::Udp(socket) => served.udp = Some(UdpSocket::from_std(socket)?),
        }
    }
    Ok(served)
}
