//! Hysteria 2: a QUIC connection that looks like HTTP/3, with a stream for each TCP connection and datagrams for UDP. This file is the
//! client's side.

mod datagram;
pub(crate) mod server;
mod session;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hezar_core::{Hysteria2, Secret, Target};
use quinn::VarInt;

use self::session::Hysteria2Session;
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, DialError, Dialer,
    io::header_stream::HeaderStream,
    quic::{
        Dialled, Disguise, PortHopping, Promise, QuicPool, QuicServer, SharedClients, negotiated, transport_config,
    },
};

/// The unidirectional streams that an HTTP/3 server may open: control, two of QPACK, and some without meaning.
const SERVER_STREAMS: u32 = 8;
/// Bytes per second in a Mbit/s.
const MBIT: u64 = 125_000;

/// Builds the dialer; `via` opens the sockets to the server.
///
/// # Errors
/// [`BuildError::Invalid`] for an impossible disguise.
pub(crate) fn build(
    settings: &Hysteria2,
    server: &Target,
    via: Arc<dyn Dialer>,
    clients: &SharedClients,
) -> Result<Arc<dyn Dialer>, BuildError> {
    let server = QuicServer {
        target: server.clone(),
        via,
        tls: settings.tls.clone(),
        clients: clients.clone(),
        alpn: &["h3"],
        disguise: settings.obfs.as_ref().map(Disguise::new).transpose()?,
        hop: PortHopping::new(server.port(), &settings.ports, settings.hop_interval),
    };
    let rate = |mbps: Option<u32>| u64::from(mbps.unwrap_or(0)) * MBIT;
    Ok(Arc::new(Hysteria2Dialer {
        server,
        auth: settings.auth.clone(),
        sends: rate(settings.up_mbps),
        receives: rate(settings.down_mbps),
        pool: QuicPool::new(&clients.budget),
    }))
}

/// Decodes bytes as each kind of message that a server sends; for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode(bytes: &bytes::Bytes) -> (bool, bool) {
    use crate::io::header_stream::AnswerHead as _;

    (wire::ConnectResponse.length(bytes).is_ok(), wire::Message::read(bytes).is_some())
}

/// Decodes bytes that come in pieces of a size as a client's request for a stream; for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode_request(bytes: &[u8], piece: usize) -> Result<Option<(Target, usize)>, String> {
    let mut end: usize = 0;
    loop {
        end = end.saturating_add(piece).min(bytes.len());
        let read = wire::take_request(bytes.get(..end).unwrap_or_default()).map_err(|cause| cause.to_string())?;
        if read.is_some() || end == bytes.len() {
            return Ok(read);
        }
    }
}

/// Dials targets through one Hysteria 2 server.
struct Hysteria2Dialer {
    server: QuicServer,
    auth: Secret,
    /// Our own bandwidth in bytes per second; 0 = unknown.
    sends: u64,
    receives: u64,
    pool: QuicPool<Hysteria2Session>,
}

impl fmt::Debug for Hysteria2Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hysteria2Dialer").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Hysteria2Dialer {
    /// Opens a connection and authenticates.
    async fn dial(&self, attempt: &Attempt) -> Result<(Dialled, Hysteria2Session), DialError> {
        let promise = Promise::default();
        let mut transport = transport_config(SERVER_STREAMS);
        transport.congestion_controller_factory(negotiated(promise.clone()));
        let dialled = self.server.connect(transport, attempt).await?;
        let (session, accepted) =
            Hysteria2Session::begin(&dialled.connection, self.auth.expose(), self.receives, attempt).await?;
        if let Some(rate) = wire::rate(self.sends, accepted.receives) {
            promise.settle(rate);
        }
        Ok((dialled, session))
    }
}

#[async_trait]
impl Dialer for Hysteria2Dialer {
    /// The request leaves with the first payload: whether the server reached the target shows at the first read.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let request = |_: &_| wire::request(target, &mut rand::rng());
        let (stream, request, _) = self.pool.stream(attempt, request, || self.dial(attempt)).await?;
        Ok(Box::new(HeaderStream::new(Box::new(stream), request, wire::ConnectResponse)))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let nudge = |link: &crate::quic::QuicConnection<Hysteria2Session>| {
            // The server must acknowledge a stream that is reset at once, and an HTTP/3 server ignores it otherwise.
            if let Some(Ok((mut send, _))) = futures_util::FutureExt::now_or_never(link.connection.open_bi()) {
                let _ = send.reset(VarInt::from_u32(0x10c));
            }
        };
        let (link, lease) = self.pool.link(attempt, nudge, || self.dial(attempt)).await?;
        Ok(Box::new(session::associate(link, lease)?))
    }
}
