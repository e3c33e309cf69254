//! The listeners of the gateway: opened, changed, moved and closed while the instance runs.

mod at_core;
mod handover;
mod sockets;
mod status;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
};

use anyhow::{Context, anyhow};
use hezar_engine::NativeEngine;
use hezar_gateway::{Gateway, GatewayConfig, PortRange};
use hezar_pool::{Filter, FilterId};
use parking_lot::RwLock;
use tokio::{
    net::TcpListener,
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    certificates::Certificates, config::Config, convert, inherited_sockets::InheritedSockets, nodes::Nodes, supervise,
};
use sockets::ListeningSockets;
pub(crate) use sockets::listen;

/// A listener that is open.
#[derive(Clone)]
struct Open {
    /// Its settings; `listen` is what the configuration says.
    config: GatewayConfig,
    filter: Option<Filter>,
    /// Where it really listens.
    address: SocketAddr,
}

impl Open {
    /// Every address at which it listens, the first one in front.
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let ip = self.address.ip();
        let ports = self.config.ports.into_iter().flat_map(PortRange::ports);
        std::iter::once(self.address).chain(ports.map(move |port| SocketAddr::new(ip, port)))
    }
}

/// Serves a listener until it is closed.
type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the listeners are to become. All addresses are bound and all filters are made, and nothing has changed yet.
pub(crate) struct Plan {
    next: Vec<Planned>,
    /// The filters that were made for it.
    made: Vec<FilterId>,
}

struct Planned {
    config: GatewayConfig,
    filter: Option<Filter>,
    place: Place,
    /// Ports beside the first one at which it does not listen yet.
    ports: Vec<std::net::TcpListener>,
}

impl Planned {
    /// Sockets that it does not have yet, by their addresses, kept once more.
    fn new_sockets(&self) -> std::io::Result<BTreeMap<SocketAddr, std::net::TcpListener>> {
        let first = match &self.place {
            Place::Stays(_) | Place::AtCore(_) => None,
            Place::Bound(socket) => Some(socket),
        };
        first.into_iter().chain(&self.ports).map(|socket| Ok((socket.local_addr()?, socket.try_clone()?))).collect()
    }
}

/// Where a listener is to listen.
enum Place {
    /// Where it listens now.
    Stays(Box<Open>),
    /// On another address, or for the first time.
    Bound(std::net::TcpListener),
    /// A Clash core listens at this address; this process opens no socket there.
    AtCore(SocketAddr),
}

/// All listeners.
pub(crate) struct Listeners {
    gateway: Gateway,
    pool: Arc<Nodes>,
    native: NativeEngine,
    certificates: Arc<Certificates>,
    /// The address of the API, which is no node either.
    api: RwLock<Option<SocketAddr>>,
    stop: CancellationToken,
    /// Whether clients are served; without, no listener is ever opened.
    serves: bool,
    /// Whether a Clash core opens the listeners; then they are only known here.
    are_at_core: bool,
    open: RwLock<Vec<Open>>,
    sockets: ListeningSockets,
    /// Is cancelled when another process accepts the clients.
    handed_over: CancellationToken,
    begin: UnboundedSender<Serving>,
    /// Held by the one task that serves.
    begun: Mutex<UnboundedReceiver<Serving>>,
}

impl Listeners {
    /// No listener yet. All of them drain when `stop` is cancelled. Listeners that are opened take `inherited` sockets where there is one
    /// for them.
    pub(crate) fn new(
        gateway: Gateway,
        pool: Arc<Nodes>,
        native: NativeEngine,
        certificates: Arc<Certificates>,
        api: Option<SocketAddr>,
        inherited: InheritedSockets,
        stop: CancellationToken,
    ) -> Self {
        let (begin, begun) = unbounded_channel();
        Self {
            gateway,
            pool,
            native,
            certificates,
            api: RwLock::new(api),
            stop,
            serves: true,
            are_at_core: false,
            open: RwLock::default(),
            sockets: ListeningSockets::inheriting(inherited),
            handed_over: CancellationToken::new(),
            begin,
            begun: Mutex::new(begun),
        }
    }

    /// The same listeners where the gateway has its role; otherwise none is ever opened.
    pub(crate) fn serving(self, serves: bool) -> Self {
        Self { serves, ..self }
    }

    /// The API listens here from now on; it counts with the next [`Listeners::carry_out`].
    pub(crate) fn set_api_address(&self, api: Option<SocketAddr>) {
        *self.api.write() = api;
    }

    /// Binds and makes what a configuration needs. Sockets and filters that are not used any more stay until
    /// [`Listeners::carry_out`].
    ///
    /// # Errors
    /// An address cannot be bound, or there are too many filters.
    pub(crate) async fn plan(&self, config: &Config) -> anyhow::Result<Plan> {
        let mut plan = Plan { next: Vec::new(), made: Vec::new() };
        if !self.serves {
            return Ok(plan);
        }
        let kept = self.kept_addresses(config);
        let first = (convert::gateway(config), None, "proxy.listen or --listen");
        let others = config.listeners.iter().map(|listener| {
            let filter = convert::filter(config, listener);
            (convert::listener(config, listener, None), Some(filter), "listen of the [[listener]]")
        });
        for (config, filter, key) in std::iter::once(first).chain(others) {
            if let Err(error) = self.add(&mut plan, config, filter, key, &kept).await {
                self.remove_filters(&plan.made);
                return Err(error);
            }
        }
        Ok(plan)
    }

    /// The addresses that listeners go on to use which stay where they are. All others may pass to another listener.
    fn kept_addresses(&self, config: &Config) -> BTreeSet<SocketAddr> {
        let others = config.listeners.iter().map(|listener| (&*listener.name, listener.listen, listener.ports));
        let first = (&*config.proxy.name, config.proxy.listen, config.proxy.ports);
        let wanted: BTreeMap<&str, (SocketAddr, Option<PortRange>)> =
            std::iter::once(first).chain(others).map(|(name, listen, ports)| (name, (listen, ports))).collect();
        let (open, mut kept) = (self.open.read(), BTreeSet::new());
        for open in open.iter() {
            let Some((listen, ports)) = wanted.get(&*open.config.name) else { continue };
            if *listen == open.config.listen {
                let is_wanted = |port| ports.is_some_and(|ports| ports.ports().contains(&port));
                kept.insert(open.address);
                kept.extend(open.addresses().skip(1).filter(|address| is_wanted(address.port())));
            }
        }
        kept
    }

    async fn add(
        &self,
        plan: &mut Plan,
        mut config: GatewayConfig,
        filter: Option<Filter>,
        key: &str,
        kept: &BTreeSet<SocketAddr>,
    ) -> anyhow::Result<()> {
        if self.are_at_core {
            plan.next.push(self.planned_at_core(config, key)?);
            return Ok(());
        }
        let known = self.open.read().iter().find(|open| open.config.name == config.name).cloned();
        config.filter = match (&known, &filter) {
            (_, None) => None,
            (Some(known), Some(_)) if known.filter == filter => known.config.filter,
            (_, Some(filter)) => {
                let made = self.pool.add_filter(filter.clone())?;
                plan.made.push(made);
                Some(made)
            }
        };
        config.server_tls = self.certificates.of(&config.tls);
        config.validate()?;
        let stays = known.filter(|known| known.config.listen == config.listen);
        let place = match stays {
            Some(known) => Place::Stays(Box::new(known)),
            None => {
                let listen = self.sockets.inherited_address(&config.name, config.listen).unwrap_or(config.listen);
                Place::Bound(self.sockets.take_or_bind(listen, key, kept).await?)
            }
        };
        let open = match &place {
            Place::Stays(_) => self.gateway.ports(&config.name),
            Place::Bound(_) | Place::AtCore(_) => Vec::new(),
        };
        let mut ports = Vec::new();
        for port in config.ports.into_iter().flat_map(PortRange::ports).filter(|port| !open.contains(port)) {
            let address = SocketAddr::new(config.listen.ip(), port);
            ports.push(self.sockets.take_or_bind(address, "ports of the [[listener]]", kept).await?);
        }
        plan.next.push(Planned { config, filter, place, ports });
        Ok(())
    }

    /// Does what was planned: new addresses have been bound before old ones are closed, and what stays as it is, is not touched.
    ///
    /// # Errors
    /// A socket cannot be used, or nothing is served any more.
    pub(crate) fn carry_out(&self, plan: Plan) -> anyhow::Result<()> {
        let old = self.open.read().clone();
        let mut next = Vec::with_capacity(plan.next.len());
        let mut new_sockets = BTreeMap::new();
        for planned in plan.next {
            new_sockets.append(&mut planned.new_sockets()?);
            let Planned { config, filter, place, ports } = planned;
            let address = match place {
                Place::Stays(open) if open.config == config => open.address,
                Place::Stays(open) => {
                    self.gateway.configure(config.clone())?;
                    open.address
                }
                Place::Bound(socket) => self.begin(socket, &config)?,
                Place::AtCore(address) => address,
            };
            self.gateway
                .close_ports(&config.name, |port| config.ports.is_some_and(|ports| ports.ports().contains(&port)));
            for socket in ports {
                let serving = self.gateway.open_port(&config.name, TcpListener::from_std(socket)?)?;
                self.serve(Box::pin(serving))?;
            }
            next.push(Open { config, filter, address });
        }
        let addresses: BTreeSet<SocketAddr> = next.iter().flat_map(Open::addresses).collect();
        self.sockets.keep(new_sockets, &addresses);
        self.native.set_own_listeners(addresses.into_iter().chain(*self.api.read()));
        self.open.write().clone_from(&next);
        for old in old {
            let name = &old.config.name;
            if !next.iter().any(|open| open.config.name == *name) && self.gateway.close(name) {
                tracing::info!(listener = %name, address = %old.address, "listener is closed");
            }
            let is_used = |id| next.iter().any(|open| open.config.filter == Some(id));
            if let Some(filter) = old.config.filter.filter(|filter| !is_used(*filter)) {
                self.remove_filters(&[filter]);
            }
        }
        Ok(())
    }

    /// Opens a listener in the place of the one with its name, if there is one.
    fn begin(&self, socket: std::net::TcpListener, config: &GatewayConfig) -> anyhow::Result<SocketAddr> {
        let (address, socket) = (socket.local_addr()?, TcpListener::from_std(socket)?);
        self.gateway.close(&config.name);
        let serving = self.gateway.open(config.clone(), socket, &self.stop)?;
        self.serve(Box::pin(serving))?;
        Ok(address)
    }

    fn serve(&self, serving: Serving) -> anyhow::Result<()> {
        self.begin.send(serving).map_err(|_| anyhow!("no listener is served any more"))
    }

    /// Serves every listener until the stop, and then until all have drained.
    ///
    /// # Errors
    /// A listener panicked.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let mut begun = self.begun.lock().await;
        let mut serving = JoinSet::new();
        let mut is_draining = false;
        loop {
            tokio::select! {
                // From now on the system refuses new clients, and a successor can have the addresses.
                () = self.stop.cancelled(), if !is_draining => {
                    is_draining = true;
                    self.sockets.clear();
                }
                () = self.handed_over.cancelled(), if !is_draining => is_draining = true,
                Some(listener) = begun.recv() => {
                    serving.spawn(supervise::named("gateway", listener));
                }
                Some(ended) = serving.join_next() => ended.context("a listener panicked")?,
                () = std::future::ready(()), if is_draining && serving.is_empty() => return Ok(()),
            }
        }
    }

    fn remove_filters(&self, filters: &[FilterId]) {
        for filter in filters {
            self.pool.remove_filter(*filter);
        }
    }
}
