//! TUIC outbound, version 5: a QUIC connection, on which the client proves its password with keying material of TLS, a stream
//! for each TCP connection, and datagrams or small streams for UDP.
//!
//! `reduce_rtt` is read and ignored: a stream in 0-RTT would count as connected before the server is known to be there.

mod datagram;
mod session;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hezar_core::{Congestion, Secret, Target, Tuic, TuicUser, UdpRelayMode};
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use uuid::Uuid;

use self::{
    datagram::TuicDatagram,
    session::{TuicSession, Unproven},
};
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, DialError, Dialer,
    io::header_stream::{HeaderStream, NoHead},
    quic::{Dialled, QuicConnection, QuicPool, QuicServer, SharedClients, transport_config},
};

/// The streams with UDP packets that a server may have open at the same time.
const SERVER_STREAMS: u32 = 256;

/// Builds the dialer; `via` opens the sockets to the server.
///
/// # Errors
/// [`BuildError::Unsupported`] for version 4.
pub(crate) fn build(
    settings: &Tuic,
    server: &Target,
    via: Arc<dyn Dialer>,
    clients: &SharedClients,
) -> Result<Arc<dyn Dialer>, BuildError> {
    let TuicUser::V5 { id, password } = &settings.user else {
        return Err(BuildError::Unsupported("TUIC version 4"));
    };
    let server = QuicServer {
        target: server.clone(),
        via,
        tls: settings.tls.clone(),
        clients: clients.clone(),
        alpn: &["h3"],
        disguise: None,
        hop: None,
    };
    let (id, password) = (*id, password.clone());
    let (congestion, mode) = (settings.congestion, settings.udp_relay);
    Ok(Arc::new(TuicDialer { server, id, password, congestion, mode, pool: QuicPool::new(&clients.budget) }))
}

/// Decodes bytes as a server sends them; for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode(bytes: &bytes::Bytes) -> bool {
    wire::Packet::read(bytes).is_some()
}

/// Dials targets through one TUIC server.
struct TuicDialer {
    server: QuicServer,
    id: Uuid,
    password: Secret,
    congestion: Congestion,
    mode: UdpRelayMode,
    pool: QuicPool<TuicSession>,
}

impl fmt::Debug for TuicDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TuicDialer").field("server", &self.server).finish_non_exhaustive()
    }
}

impl TuicDialer {
    /// Opens a connection and authenticates on it.
    async fn dial(&self, attempt: &Attempt) -> Result<(Dialled, TuicSession), DialError> {
        let controller: Arc<dyn ControllerFactory + Send + Sync> = match self.congestion {
            Congestion::Cubic => Arc::new(CubicConfig::default()),
            Congestion::NewReno => Arc::new(NewRenoConfig::default()),
            Congestion::Bbr => Arc::new(BbrConfig::default()),
        };
        let mut transport = transport_config(SERVER_STREAMS);
        transport.congestion_controller_factory(controller);
        let dialled = self.server.connect(transport, attempt).await?;
        let session = TuicSession::begin(&dialled.connection, self.id, self.password.expose(), attempt).await?;
        Ok((dialled, session))
    }
}

#[async_trait]
impl Dialer for TuicDialer {
    /// The server does not answer a request by itself, so a wrong password shows at the first read.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let request = |_: &QuicConnection<TuicSession>| wire::connect(target);
        let (stream, request, link) = self.pool.stream(attempt, request, || self.dial(attempt)).await?;
        let stream: BoxStream = match Unproven::new(stream, link) {
            Ok(unproven) => Box::new(unproven),
            Err(stream) => Box::new(stream),
        };
        Ok(Box::new(HeaderStream::new(stream, request, NoHead)))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        // The server must acknowledge it.
        let nudge =
            |link: &QuicConnection<TuicSession>| drop(link.connection.send_datagram(wire::ALIVE.to_vec().into()));
        let (link, lease) = self.pool.link(attempt, nudge, || self.dial(attempt)).await?;
        Ok(Box::new(TuicDatagram::open(link, lease, self.mode)?))
    }
}
