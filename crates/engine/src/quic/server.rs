//! Opens QUIC connections to one server, with its addresses, disguise, port hopping and TLS.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use hezar_core::{Stage, Target, Tls};
use quinn::{
    AsyncUdpSocket, ClientConfig, Connection, Endpoint, IdleTimeout, TransportConfig, VarInt,
    crypto::rustls::QuicClientConfig,
};

use super::{
    Disguise, PortHopping, SharedClients, SharedEndpoints,
    carried::CarriedSocket,
    disguise::{DisguisedSocket, Ports},
    endpoints,
    fault::{cause_of, cause_of_connect},
};
use crate::{Attempt, Cause, DialError, Dialer};

/// A connection on which nothing arrives for this long is dead, in milliseconds.
const SILENCE: u32 = 30_000;
/// How often an open connection sends a keep-alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The receive window of one stream in bytes: enough for 100 Mbit/s at a round trip of a third of a second.
const STREAM_WINDOW: u32 = 4 << 20;
/// The receive window of a connection, in bytes.
const WINDOW: u32 = 16 << 20;
/// The most bytes that wait to be sent or acknowledged.
const SEND_WINDOW: u64 = 8 << 20;
/// The most bytes of datagrams that wait for the reader.
const DATAGRAMS: usize = 1 << 20;

/// How a server is reached.
#[derive(Debug)]
pub(crate) struct QuicServer {
    /// Its published address.
    pub(crate) target: Target,
    /// The dialer that opens sockets.
    pub(crate) via: Arc<dyn Dialer>,
    /// The settings of TLS inside QUIC.
    pub(crate) tls: Tls,
    /// What the dialers of the engine share.
    pub(crate) clients: SharedClients,
    /// The protocols that are offered when the node names none.
    pub(crate) alpn: &'static [&'static str],
    /// The disguise of packets.
    pub(crate) disguise: Option<Disguise>,
    /// The ports to hop over.
    pub(crate) hop: Option<PortHopping>,
}

/// A new connection.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) connection: Connection,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) hop: Option<ActiveHopping>,
}

/// The port hopping of one connection.
#[derive(Debug)]
pub(super) struct ActiveHopping {
    pub(super) hop: PortHopping,
    exit: Exit,
    disguise: Option<Disguise>,
    believed: u16,
}

/// What sends the packets.
#[derive(Clone, Debug)]
enum Exit {
    /// A socket of this machine.
    System,
    /// An association through another node.
    Carried(Arc<CarriedSocket>),
}

impl Exit {
    fn socket(&self) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        match self {
            Self::System => endpoints::plain(),
            Self::Carried(socket) => Ok(Arc::clone(socket) as Arc<dyn AsyncUdpSocket>),
        }
    }
}

impl ActiveHopping {
    /// Changes to another port of the server and to another local port, so that middleboxes do not see the same pair.
    pub(super) fn go(&self, endpoint: &Endpoint) {
        // When the system gives no socket, the connection keeps its ports.
        if let Ok(socket) = self.socket() {
            let _ = endpoint.rebind_abstract(socket);
        }
    }

    fn socket(&self) -> io::Result<Arc<DisguisedSocket>> {
        let ports = Ports { believed: self.believed, real: self.hop.port() };
        Ok(Arc::new(DisguisedSocket::new(self.exit.socket()?, self.disguise.clone(), Some(ports))))
    }
}

/// The limits and timeouts of a connection; the server may open `uni` unidirectional streams.
pub(crate) fn transport_config(uni: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(uni))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(SILENCE))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(Some(DATAGRAMS))
        .datagram_send_buffer_size(DATAGRAMS);
    config
}

impl QuicServer {
    /// Opens a connection and completes its handshake. The server's addresses are tried one after another.
    ///
    /// # Errors
    /// [`DialError`]: the first timeout, or else the error of the last address that was tried. After any error but a timeout or
    /// a missing route no further address is tried.
    pub(crate) async fn connect(&self, transport: TransportConfig, attempt: &Attempt) -> Result<Dialled, DialError> {
        let (config, name) = self.client(transport).map_err(|cause| DialError::new(Stage::Security, cause))?;
        let Some(network) = self.via.local_network() else {
            let socket = CarriedSocket::new(self.via.associate(attempt).await?, self.target.clone());
            let address = CarriedSocket::believed(self.target.port());
            return self.dial(Exit::Carried(Arc::new(socket)), None, address, config, &name, attempt).await;
        };
        let addresses = network.candidates(&self.target, attempt).await?;
        let mut failure = None;
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(1).max(1);
            let part = attempt.at_most(attempt.remaining() / left);
            let error = match self
                .dial(Exit::System, Some(&self.clients.endpoints), *address, config.clone(), &name, &part)
                .await
            {
                Ok(dialled) => return Ok(dialled),
                Err(error) => error,
            };
            let elsewhere = matches!(error.cause, Cause::Timeout | Cause::NoRoute);
            if !matches!(failure, Some(DialError { cause: Cause::Timeout, .. })) {
                failure = Some(error);
            }
            if !elsewhere {
                break;
            }
        }
        Err(failure.unwrap_or_else(|| DialError::new(Stage::Connect, Cause::NoRoute)))
    }

    fn client(&self, transport: TransportConfig) -> Result<(ClientConfig, String), Cause> {
        let (tls, name) = self.clients.tls.for_quic(&self.tls, self.target.host(), self.alpn)?;
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| Cause::Tls(error.to_string().into()))?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        Ok((config, name))
    }

    async fn dial(
        &self,
        exit: Exit,
        shared: Option<&SharedEndpoints>,
        address: SocketAddr,
        config: ClientConfig,
        name: &str,
        attempt: &Attempt,
    ) -> Result<Dialled, DialError> {
        let hop = self.hop.clone();
        let (disguise, believed) = (self.disguise.clone(), address.port());
        let hop = hop.map(|hop| ActiveHopping { hop, exit: exit.clone(), disguise: disguise.clone(), believed });
        let socket = async {
            if shared.is_some() {
                routed(address).map_err(Cause::of_own_socket)?;
            }
            match (&hop, disguise, shared) {
                (Some(hop), ..) => endpoints::own(hop.socket()?),
                (None, Some(disguise), _) => {
                    endpoints::own(Arc::new(DisguisedSocket::new(exit.socket()?, Some(disguise), None)))
                }
                (None, None, Some(shared)) => shared.shared(),
                (None, None, None) => endpoints::own(exit.socket()?),
            }
        };
        let endpoint = attempt.stage(Stage::Connect, socket).await?;
        let handshake = async {
            let connecting = endpoint.connect_with(config, address, name);
            connecting.map_err(|error| cause_of_connect(&error))?.await.map_err(|error| cause_of(&error))
        };
        let connection = attempt.stage(Stage::Security, handshake).await?;
        Ok(Dialled { connection, endpoint, hop })
    }
}

/// Checks that this machine has a route to an address. QUIC itself would notice a missing route only by a timeout.
fn routed(address: SocketAddr) -> io::Result<()> {
    let any = if address.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any).map_err(|error| crate::net::as_missing_family(address, error))?;
    socket.connect(address).map_err(|error| crate::net::as_missing_family(address, error))
}
