//! A QUIC server for tests, in the same process.

use std::{net::SocketAddr, sync::Arc};

use hezar_core::{Obfs2, Target, Tls};
use quinn::{Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, crypto::rustls::QuicServerConfig};

use super::{
    Disguise, QuicServer, SharedClients,
    disguise::{DisguisedSocket, Ports},
    endpoints,
};
use crate::{AddressPolicy, Dialer, Resolver, ResolverConfig, SystemDialer, TlsClients, testing::Authority};

/// The name in the server's certificate.
pub(crate) const NAME: &str = "quic.example";

/// A listening server.
pub(crate) struct Peer {
    /// The endpoint of the server.
    pub(crate) endpoint: Endpoint,
    /// The address that it listens on.
    pub(crate) address: SocketAddr,
    /// TLS configurations that trust its certificate.
    pub(crate) clients: SharedClients,
}

impl Peer {
    /// Listens on a loopback address, with the disguise that `obfs` describes.
    pub(crate) fn start(alpn: &[&str], obfs: Option<&Obfs2>) -> Self {
        let authority = Authority::new();
        let (acceptor, _) = authority.server(&[NAME], alpn);
        let tls = QuicServerConfig::try_from(Arc::clone(acceptor.config())).unwrap();
        let config = ServerConfig::with_crypto(Arc::new(tls));
        let disguise = obfs.map(|obfs| Disguise::new(obfs).unwrap());
        let inner = endpoints::plain().unwrap();
        let port = inner.local_addr().unwrap().port();
        let socket = Arc::new(DisguisedSocket::new(inner, disguise, None::<Ports>));
        let runtime = Arc::new(TokioRuntime);
        let endpoint =
            Endpoint::new_with_abstract_socket(EndpointConfig::default(), Some(config), socket, runtime).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { endpoint, address, clients: TlsClients::new(&[authority.root]).into() }
    }

    /// How to reach it at `target`.
    pub(crate) fn server(&self, target: &Target) -> QuicServer {
        QuicServer {
            target: target.clone(),
            via: sockets(),
            tls: tls(),
            clients: self.clients.clone(),
            alpn: &["h3"],
            disguise: None,
            hop: None,
        }
    }

    /// The next connection after its handshake.
    pub(crate) async fn accept(&self) -> Option<Connection> {
        self.endpoint.accept().await?.await.ok()
    }
}

/// TLS settings that fit the server.
pub(crate) fn tls() -> Tls {
    Tls { server_name: Some(NAME.into()), ..Tls::default() }
}

/// This machine's sockets, loopback included.
pub(crate) fn sockets() -> Arc<dyn Dialer> {
    Arc::new(SystemDialer::new(Resolver::new(&ResolverConfig::default()), AddressPolicy::Any))
}
