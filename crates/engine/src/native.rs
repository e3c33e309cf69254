//! The engine of this crate, and its one list of protocols: the description of a node becomes a dialer.

use std::{fmt, net::SocketAddr, sync::Arc};

use hezar_core::{Carrier, NodeSpec, Outbound, Security, StreamProtocol, Tls};
use rustls_pki_types::CertificateDer;

use crate::{
    AddressPolicy, BuildError, Dialer, Engine, HandedOver, Resolver, ResolverConfig, SystemDialer, TlsClients,
    TlsSettings, chain::ChainedDialer, net::OwnListeners, protocol, quic::SharedClients, transport::TransportConnector,
};

/// Builds the dialer for a node; `via` opens the connection to its first server (system sockets, or another node), `tls`
/// holds the client configurations that nodes share.
///
/// # Errors
/// [`BuildError`] when the protocol of one of its nodes, or one of its settings, cannot be dialled.
pub fn build(spec: &NodeSpec, via: Arc<dyn Dialer>, tls: &TlsClients) -> Result<Arc<dyn Dialer>, BuildError> {
    build_chain(spec, via, &tls.clone().into())
}

/// The dialer for a node behind the chain of nodes that it names; `system` opens the connection to the first server.
fn build_chain(
    spec: &NodeSpec,
    system: Arc<dyn Dialer>,
    clients: &SharedClients,
) -> Result<Arc<dyn Dialer>, BuildError> {
    let via: Arc<dyn Dialer> = match spec.via() {
        // As deep as a chain is long, which is bounded.
        Some(nearer) => Arc::new(ChainedDialer::new(build_chain(nearer, Arc::clone(&system), clients)?)),
        None => Arc::clone(&system),
    };
    build_node(spec, via, clients, system)
}

/// The dialer for the node itself. Behind a chain too, `system` finds the addresses of names for protocols that carry
/// no names.
fn build_node(
    spec: &NodeSpec,
    via: Arc<dyn Dialer>,
    clients: &SharedClients,
    system: Arc<dyn Dialer>,
) -> Result<Arc<dyn Dialer>, BuildError> {
    let over = |carrier: &Carrier| TransportConnector::new(&spec.server, carrier, Arc::clone(&via), clients);
    match &spec.outbound {
        Outbound::Socks(settings) => protocol::socks::build(settings, over(&tcp(settings.tls.as_deref()))?, system),
        Outbound::Http(settings) => protocol::http::build(settings, over(&tcp(settings.tls.as_deref()))?),
        Outbound::Shadowsocks(settings) => {
            let connector = protocol::shadowsocks::connector(settings, &spec.server, Arc::clone(&via), clients)?;
            protocol::shadowsocks::build(settings, connector)
        }
        Outbound::Stream(node) => {
            let connector = over(node.carrier())?;
            match node.protocol() {
                StreamProtocol::Vless(settings) => protocol::vless::build(settings, connector),
                StreamProtocol::Vmess(settings) => protocol::vmess::build(settings, connector),
                StreamProtocol::Trojan(settings) => protocol::trojan::build(settings, connector),
            }
        }
        Outbound::ShadowsocksR(_) => Err(BuildError::Unsupported("ShadowsocksR")),
        Outbound::AnyTls(settings) => protocol::anytls::build(settings, over(&tcp(Some(&settings.tls)))?),
        Outbound::Hysteria2(settings) => protocol::hysteria2::build(settings, &spec.server, via, clients),
        Outbound::Hysteria(_) => Err(BuildError::Unsupported("Hysteria 1")),
        Outbound::Tuic(settings) => protocol::tuic::build(settings, &spec.server, via, clients),
        Outbound::Snell(_) => Err(BuildError::Unsupported("Snell")),
        Outbound::Ssh(_) => Err(BuildError::Unsupported("SSH")),
        Outbound::Mieru(_) => Err(BuildError::Unsupported("mieru")),
        Outbound::ClashOnly(settings) => Err(BuildError::Unsupported(settings.kind.name())),
        Outbound::WireGuard(settings) => protocol::wireguard::build(settings, &spec.server, via, &clients.budget),
    }
}

fn tcp(tls: Option<&Tls>) -> Carrier {
    Carrier::Tcp { header: None, security: tls.map_or(Security::None, |tls| Security::Tls(tls.clone())) }
}

/// What the dialers of a [`NativeEngine`] share.
#[derive(Clone, Debug, Default)]
pub struct NativeEngineConfig {
    /// How names are looked up.
    pub resolver: ResolverConfig,
    /// Root certificates that are trusted besides the public ones, DER.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// How nodes are met by TLS.
    pub tls: TlsSettings,
}

/// Makes dialers that share one resolver and one set of TLS configurations. Cheap to clone.
#[derive(Clone)]
pub struct NativeEngine {
    /// For each address policy: what dials nodes, and what dials without a node.
    nodes: [Arc<dyn Dialer>; 2],
    direct: [Arc<dyn Dialer>; 2],
    own: OwnListeners,
    clients: SharedClients,
}

impl NativeEngine {
    /// Sets the shared parts up; reads the system's resolver configuration when `config` names no servers.
    #[must_use]
    pub fn new(config: &NativeEngineConfig) -> Self {
        let (resolver, own) = (Resolver::new(&config.resolver), OwnListeners::default());
        let direct =
            [AddressPolicy::PublicOnly, AddressPolicy::Any].map(|policy| SystemDialer::new(resolver.clone(), policy));
        Self {
            nodes: direct.clone().map(|dialer| Arc::new(dialer.never_to(own.clone())) as Arc<dyn Dialer>),
            direct: direct.map(|dialer| Arc::new(dialer) as Arc<dyn Dialer>),
            own,
            clients: TlsClients::with(&config.extra_roots, config.tls.own_hello).into(),
        }
    }

    /// Says where this process listens for clients: no node is dialled there, since its requests would come back. The
    /// list takes the place of the one before, also for dialers that are already made.
    pub fn set_own_listeners(&self, listeners: impl IntoIterator<Item = SocketAddr>) {
        self.own.set(listeners);
    }

    /// How many Vision streams of this engine have left their TLS or encryption.
    #[must_use]
    pub fn handed_over(&self) -> HandedOver {
        self.clients.hand_overs.counts()
    }

    /// The shared TLS configurations, for [`http::send`](crate::http::send).
    #[must_use]
    pub const fn tls(&self) -> &TlsClients {
        &self.clients.tls
    }
}

impl Engine for NativeEngine {
    fn dialer(&self, node: &NodeSpec, policy: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        build_chain(node, Arc::clone(following(&self.nodes, policy)), &self.clients)
    }

    fn direct(&self, policy: AddressPolicy) -> Arc<dyn Dialer> {
        Arc::clone(following(&self.direct, policy))
    }
}

/// The one of two dialers that follows `policy`; [`AddressPolicy::PublicOnly`] comes first.
fn following(dialers: &[Arc<dyn Dialer>; 2], policy: AddressPolicy) -> &Arc<dyn Dialer> {
    let [public, any] = dialers;
    match policy {
        AddressPolicy::PublicOnly => public,
        AddressPolicy::Any => any,
    }
}

impl fmt::Debug for NativeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeEngine").finish_non_exhaustive()
    }
}
