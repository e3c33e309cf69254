//! XHTTP over HTTP/1.1 (packet-up only): one connection for the download, one for the uploads, kept between them.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio_util::task::AbortOnDropHandle;

use super::{
    plan::{Plan, Purpose},
    upload::{MOST_ANSWER, NEW_CONNECTION, Post},
};
use crate::{Attempt, BoxStream, Cause, io::copy::pour, security::SecureConnector};

/// The buffer of a connection, and the longest head of an answer, in bytes.
const BUFFER: usize = 32 * 1024;

/// A connection; its task ends with it.
struct Http1Connection {
    sender: SendRequest<Full<Bytes>>,
    wire: AbortOnDropHandle<()>,
}

impl Http1Connection {
    async fn begin(stream: BoxStream) -> Result<Self, Cause> {
        let mut builder = Builder::new();
        builder.max_buf_size(BUFFER).max_headers(100);
        let (sender, wire) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| cause_of(&error))?;
        let wire = async move {
            if let Err(error) = wire.await {
                tracing::debug!(%error, "an XHTTP connection failed");
            }
        };
        Ok(Self { sender, wire: AbortOnDropHandle::new(tokio::spawn(wire)) })
    }
}

type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

enum DownloadState {
    /// The answer's head is to come. Only its own stream polls it; the lock makes it `Sync`.
    Awaited(Mutex<Answering>),
    Body(Incoming),
    Ended,
    Failed,
}

/// The download: the body of one answer.
pub(super) struct Download {
    state: DownloadState,
    ready: Bytes,
    _wire: AbortOnDropHandle<()>,
}

impl Download {
    /// Asks for the download. The head of the answer may come only after the upload has begun.
    ///
    /// # Errors
    /// When the stream does not take the request.
    pub(super) async fn begin(stream: BoxStream, head: Request<()>) -> Result<Self, Cause> {
        let Http1Connection { mut sender, wire } = Http1Connection::begin(stream).await?;
        let answering: Answering = Box::pin(sender.send_request(head.map(|()| Full::default())));
        // The sender is dropped. The answer keeps the connection open.
        Ok(Self { state: DownloadState::Awaited(Mutex::new(answering)), ready: Bytes::new(), _wire: wire })
    }

    /// As the method of that name in tokio's traits.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let ended = match &mut self.state {
                DownloadState::Awaited(answering) => match ready!(answering.get_mut().as_mut().poll(cx)) {
                    Ok(answer) if answer.status() == 200 => {
                        self.state = DownloadState::Body(answer.into_body());
                        continue;
                    }
                    Ok(answer) => Err(Cause::TransportStatus(answer.status().as_u16())),
                    Err(error) => Err(cause_of(&error)),
                },
                DownloadState::Body(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        self.ready = frame.into_data().unwrap_or_default();
                        continue;
                    }
                    Some(Err(error)) => Err(cause_of(&error)),
                    None => Ok(()),
                },
                DownloadState::Ended => return Poll::Ready(Ok(())),
                DownloadState::Failed => Err(Cause::Closed),
            };
            self.state = if ended.is_ok() { DownloadState::Ended } else { DownloadState::Failed };
            ended?;
        }
        pour(&mut self.ready, buf);
        Poll::Ready(Ok(()))
    }
}

/// Sends pieces of one session's upload, one after another.
pub(super) struct Posts {
    pub(super) plan: Arc<Plan>,
    pub(super) session: Arc<str>,
    pub(super) connector: Arc<SecureConnector>,
    link: Arc<tokio::sync::Mutex<Option<Http1Connection>>>,
}

impl Posts {
    /// No connection yet.
    pub(super) fn new(plan: Arc<Plan>, session: Arc<str>, connector: Arc<SecureConnector>) -> Self {
        Self { plan, session, connector, link: Arc::default() }
    }
}

impl Post for Posts {
    const AT_ONCE: usize = 1;

    fn post(&mut self, number: u64, body: Bytes) -> impl Future<Output = Result<(), Cause>> + Send + 'static {
        let purpose = Purpose::Piece { session: &self.session, number, length: body.len() };
        let request = self.plan.head(purpose, false).map(|()| Full::new(body));
        let (connector, link) = (Arc::clone(&self.connector), Arc::clone(&self.link));
        async move {
            let mut link = link.lock().await;
            // A kept connection may have been closed meanwhile. A server that has received the piece ignores the second one.
            if let Some(kept) = link.take()
                && let Ok(kept) = send(kept, request.clone()).await
            {
                *link = kept;
                return Ok(());
            }
            let stream = connector.connect(&Attempt::within(NEW_CONNECTION)).await.map_err(|error| error.cause)?;
            *link = send(Http1Connection::begin(stream).await?, request).await?;
            Ok(())
        }
    }
}

/// Sends one request; the connection comes back if it can be used again.
async fn send(mut link: Http1Connection, request: Request<Full<Bytes>>) -> Result<Option<Http1Connection>, Cause> {
    let answer = async {
        link.sender.ready().await?;
        link.sender.send_request(request).await
    };
    let answer = answer.await.map_err(|error| cause_of(&error))?;
    if answer.status() != 200 {
        return Err(Cause::TransportStatus(answer.status().as_u16()));
    }
    let whole = Limited::new(answer.into_body(), MOST_ANSWER).collect().await.is_ok();
    Ok(whole.then_some(link))
}

/// The cause of an error of hyper: the failure of the stream, an early end, or an answer that is not HTTP.
fn cause_of(error: &hyper::Error) -> Cause {
    use std::error::Error;
    if let Some(error) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return Cause::from(io::Error::from(error.kind()));
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Cause::Closed;
    }
    Cause::Protocol("the answer is not HTTP/1")
}
