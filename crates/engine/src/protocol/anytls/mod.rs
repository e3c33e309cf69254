//! AnyTLS: streams over TLS connections that are reused one stream after the other, and whose first writes are padded.
//!
//! A client's connection carries one stream at a time, as in the client of the specification's authors. Datagrams go through a stream in
//! sing-box's packing (UDP over TCP, version 2).

mod padding;
mod pool;
pub(crate) mod server;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

use std::{fmt, future::poll_fn, sync::Arc};

use async_trait::async_trait;
use hezar_core::{AnyTls, Stage, Target};

use self::{pool::Pool, session::AnyTlsSession, stream::AnyTlsStream};
use super::{address::put_socks, packets::Packets, uot};
use crate::{Attempt, BoxDatagram, BoxStream, BuildError, DialError, Dialer, transport::TransportConnector};

/// Builds the dialer; `connector` opens TLS streams to the server.
///
/// # Errors
/// None: every password can be sent.
pub(crate) fn build(settings: &AnyTls, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let key = wire::key(settings.password.expose());
    let pool = Arc::new(Pool::new(&connector.shared().budget));
    Ok(Arc::new(AnyTlsDialer { key, connector, pool }))
}

/// Reads a server's frames and a padding scheme, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode(data: &[u8]) {
    use std::{
        io::Cursor,
        task::{Context, Poll, Waker},
    };

    use rand::{SeedableRng, rngs::SmallRng};
    use tokio::io::ReadBuf;

    if let Some(scheme) = padding::Scheme::read(data) {
        let random = &mut SmallRng::seed_from_u64(1);
        (0..10).for_each(|number| drop(scheme.shape(number, data, random)));
    }
    let stream = tokio::io::join(Cursor::new(data.to_vec()), tokio::io::sink());
    let mut session = AnyTlsSession::new(Box::new(stream), &wire::PasswordHash::default(), Arc::default());
    session.begin(b"");
    let mut cx = Context::from_waker(Waker::noop());
    let mut text = [0; 64];
    while let Poll::Ready(Ok(session::Event::Payload)) = session.poll_read(&mut cx, &mut ReadBuf::new(&mut text)) {}
}

/// Dials targets through one AnyTLS server.
struct AnyTlsDialer {
    key: wire::PasswordHash,
    connector: TransportConnector,
    pool: Arc<Pool>,
}

impl fmt::Debug for AnyTlsDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyTlsDialer").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl AnyTlsDialer {
    /// A stream whose first bytes are `request`. A server does not answer them: a wrong password shows at the first
    /// read.
    async fn open(&self, request: &[u8], attempt: &Attempt) -> Result<AnyTlsStream, DialError> {
        while let Some(session) = self.pool.take() {
            // A connection that died while it waited is dropped, and the next one is taken.
            if let Ok(stream) = self.begin(session, request, attempt).await {
                return Ok(stream);
            }
        }
        let io = self.connector.open(attempt).await?;
        let session = AnyTlsSession::new(io, &self.key, Arc::clone(&self.pool.scheme));
        self.begin(session, request, attempt).await
    }

    async fn begin(
        &self,
        mut session: AnyTlsSession,
        request: &[u8],
        attempt: &Attempt,
    ) -> Result<AnyTlsStream, DialError> {
        session.begin(request);
        attempt.stage(Stage::Handshake, poll_fn(|cx| session.poll_flush(cx))).await?;
        Ok(AnyTlsStream::new(session, &self.pool))
    }
}

#[async_trait]
impl Dialer for AnyTlsDialer {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let mut address = Vec::new();
        put_socks(target, &mut address);
        Ok(Box::new(self.open(&address, attempt).await?))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let request = uot::request();
        Ok(Box::new(Packets::new(Box::new(self.open(&request, attempt).await?), uot::Uot::opened())))
    }
}
