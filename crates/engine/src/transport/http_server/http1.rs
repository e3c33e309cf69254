//! The server's side of HTTP/1.1: gives out the requests of one connection, within bounds.

use std::{io, pin::pin, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::{io::StreamReader, task::AbortOnDropHandle};

use super::{HttpExchange, RequestBody, Responder};
use crate::{BoxStream, io::http_head::MOST_REQUEST_HEAD, served::WebBody};

/// The buffer of a connection in bytes.
const BUFFER: usize = 32 * 1024;
/// The most headers in the head of a request.
const MOST_HEADERS: usize = 100;
/// How long the next head may take to come, from the end of the exchange before.
const NEXT_HEAD: Duration = Duration::from_secs(60);

/// One connection. Its task ends with it.
pub(crate) struct Http1Server {
    exchanges: mpsc::Receiver<HttpExchange>,
    go_away: Arc<Notify>,
    _wire: AbortOnDropHandle<()>,
}

/// Serves a connection, whose client may end its direction first if `half_close` says so.
pub(crate) fn serve(io: BoxStream, half_close: bool) -> Http1Server {
    // One request after another.
    let (sender, exchanges) = mpsc::channel(1);
    let service = service_fn(move |request| give(sender.clone(), request));
    let wire = Builder::new()
        .timer(TokioTimer::new())
        .half_close(half_close)
        .header_read_timeout(NEXT_HEAD)
        .max_buf_size(BUFFER)
        .max_header_size(MOST_REQUEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let go_away = Arc::new(Notify::new());
    let told = Arc::clone(&go_away);
    let wire = async move {
        let mut wire = pin!(wire);
        let ended = tokio::select! {
            ended = &mut wire => ended,
            () = told.notified() => {
                wire.as_mut().graceful_shutdown();
                wire.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection of a client ended");
        }
    };
    Http1Server { exchanges, go_away, _wire: AbortOnDropHandle::new(tokio::spawn(wire)) }
}

impl Http1Server {
    /// The next request; `None` when the connection is over. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<HttpExchange> {
        self.exchanges.recv().await
    }

    /// Ends the connection after the answer that is under way.
    pub(super) fn go_away(&self) {
        self.go_away.notify_one();
    }
}

/// Gives the request out and waits for its answer. Without one the connection ends.
async fn give(exchanges: mpsc::Sender<HttpExchange>, request: Request<Incoming>) -> io::Result<Response<WebBody>> {
    let gone = || io::Error::from(io::ErrorKind::ConnectionAborted);
    let (answer, answered) = oneshot::channel();
    let (head, body) = request.into_parts();
    let body = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let request = Request::from_parts(head, ());
    let body = RequestBody::Http1(Box::new(body));
    let exchange = HttpExchange { request, body, responder: Responder::http1(answer) };
    exchanges.send(exchange).await.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())
}
