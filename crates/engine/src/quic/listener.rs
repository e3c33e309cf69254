//! A UDP socket that accepts QUIC connections, with or without a disguise.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use hezar_core::Obfs2;
use quinn::{
    AsyncUdpSocket, Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TransportConfig, VarInt,
    crypto::rustls::QuicServerConfig,
};
use tokio::time::sleep;

use super::{
    Disguise, Promise, disguise::DisguisedSocket, driver::DriverRuntime, endpoints, listening_socket::ListeningSocket,
    negotiated,
};

/// A client from which nothing arrives for this long is gone, in milliseconds.
const SILENCE: u32 = 30_000;
/// The windows of a connection in bytes, until it is known that it is a client's.
const STRANGER_WINDOW: u32 = 256 << 10;
/// What the windows of all clients' connections share when they are opened, in bytes, each way.
const ALL_WINDOWS: usize = 256 << 20;
/// The smallest and the largest window of a client's connection, in bytes.
const WINDOW: (usize, usize) = (512 << 10, 16 << 20);
/// One stream has this part of its client's receive window: so many have to be unread before they stop the others.
const STREAM_SHARE: u32 = 4;
/// The most bytes of datagrams that wait for the reader.
const DATAGRAMS: usize = 1 << 20;
/// Streams of requests that somebody may have open who is not known to be a client.
const STRANGER_STREAMS: u32 = 32;
/// Streams that a client may have open.
const CLIENT_STREAMS: u32 = 1024;
/// Unidirectional streams that the other side may open: control, two of QPACK, and some without meaning.
const UNI_STREAMS: u32 = 8;
/// The most connections that wait to be accepted. More are refused.
const MOST_INCOMING: usize = 256;
/// The bytes that may wait for each of them and for all, beside their first packets.
const INCOMING_BYTES: (u64, u64) = (16 << 10, 1 << 20);
/// How often clients are told once more that their connections end, and the time between.
const CLOSE_REPEATS: u32 = 2;
const CLOSE_INTERVAL: Duration = Duration::from_millis(100);
/// H3_NO_ERROR (RFC 9114 §8.1).
const NO_ERROR: u32 = 0x100;

/// A socket that accepts QUIC connections. It is not read before somebody accepts.
pub struct QuicListener {
    endpoint: Endpoint,
    crypto: Arc<QuicServerConfig>,
    socket: Arc<ListeningSocket>,
}

impl QuicListener {
    /// Accepts on a bound socket with the certificates of `tls`, and with the protocols that `alpn` names in the place of its own. Under a
    /// disguise nothing at all is answered to whoever does not know its password.
    ///
    /// # Errors
    /// The socket cannot be used, the TLS settings lack TLS 1.3, or the disguise is impossible.
    pub fn bind(
        socket: std::net::UdpSocket,
        tls: Arc<rustls::ServerConfig>,
        disguise: Option<&Obfs2>,
        alpn: &[&[u8]],
    ) -> io::Result<Self> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let mut tls = Arc::unwrap_or_clone(tls);
        tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // What is sent before the handshake can be sent again by others, and this protocol would act twice.
        tls.max_early_data_size = 0;
        let crypto = QuicServerConfig::try_from(tls).map_err(|error| invalid(error.to_string()))?;
        let crypto = Arc::new(crypto);
        let disguise = disguise.map(Disguise::new).transpose().map_err(|error| invalid(error.to_string()))?;
        socket.set_nonblocking(true)?;
        let (is_disguised, plain) = (disguise.is_some(), endpoints::bound(socket)?);
        let disguised: Arc<dyn AsyncUdpSocket> = match disguise {
            Some(disguise) => Arc::new(DisguisedSocket::new(plain, Some(disguise), None)),
            None => plain,
        };
        let socket = Arc::new(ListeningSocket::new(disguised, is_disguised)?);
        let config = server_config(&crypto, &Promise::default(), 1);
        let beneath = Arc::clone(&socket) as Arc<dyn AsyncUdpSocket>;
        let (settings, runtime) = (EndpointConfig::default(), Arc::new(DriverRuntime));
        let endpoint = Endpoint::new_with_abstract_socket(settings, Some(config), beneath, runtime)?;
        Ok(Self { endpoint, crypto, socket })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next connection, before its handshake; `None` when the listener is closed. Cancel safe.
    pub(crate) async fn accept(&self) -> Option<Incoming> {
        self.socket.start_receiving();
        self.endpoint.accept().await
    }

    /// The settings for one connection, whose rate `promise` may name later, and which may become that of the last of so many clients.
    pub(crate) fn server_config(&self, promise: &Promise, clients: usize) -> Arc<ServerConfig> {
        Arc::new(server_config(&self.crypto, promise, clients))
    }

    /// Accepts no connection any more; those that are open go on.
    pub(crate) fn stop_accepting(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Ends all connections, and lets go of the socket, so that another listener can read from it. From the first moment on this one does
    /// not.
    pub(crate) async fn close(&self) {
        self.stop_accepting();
        self.socket.stop_receiving();
        self.endpoint.close(VarInt::from_u32(NO_ERROR), b"");
        if self.endpoint.open_connections() > 0 {
            for _ in 0..CLOSE_REPEATS {
                sleep(CLOSE_INTERVAL).await;
                self.socket.resend_close_packets();
            }
        }
        self.socket.release();
    }
}

impl fmt::Debug for QuicListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicListener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(NO_ERROR), b"");
    }
}

fn server_config(crypto: &Arc<QuicServerConfig>, promise: &Promise, clients: usize) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(Arc::clone(crypto) as Arc<dyn quinn::crypto::ServerConfig>);
    let (each, all) = INCOMING_BYTES;
    config
        .transport_config(Arc::new(transport_config(promise, clients)))
        .max_incoming(MOST_INCOMING)
        .incoming_buffer_size(each)
        .incoming_buffer_size_total(all);
    config
}

/// The limits of a connection that is not known to be a client's. Those of streams cannot be changed later.
fn transport_config(promise: &Promise, clients: usize) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(STRANGER_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(SILENCE))))
        .stream_receive_window(VarInt::from_u32(client_window(clients) / STREAM_SHARE))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW))
        .send_window(STRANGER_WINDOW.into())
        .datagram_receive_buffer_size(Some(DATAGRAMS))
        .datagram_send_buffer_size(DATAGRAMS)
        .congestion_controller_factory(negotiated(promise.clone()));
    config
}

/// Gives a connection the limits of a client, of which there are so many.
pub(crate) fn lift_limits(connection: &quinn::Connection, clients: usize) {
    let window = client_window(clients);
    connection.set_receive_window(VarInt::from_u32(window));
    connection.set_send_window(window.into());
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(CLIENT_STREAMS));
}

/// The windows of a client's connection in bytes, when there are so many clients.
fn client_window(clients: usize) -> u32 {
    let (least, most) = WINDOW;
    // It fits: the largest window is far from the bounds of the type.
    u32::try_from((ALL_WINDOWS / clients.max(1)).clamp(least, most)).unwrap_or(u32::MAX)
}
