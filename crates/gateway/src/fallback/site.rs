//! A web site of files: HTTP/1.1 and HTTP/2 by hyper, the files of a folder by tower-http.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hezar_engine::{BoxStream, server::WebBody};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, LAST_MODIFIED},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, timeout},
};
use tower_http::services::ServeDir;

use super::{lent_stream::LentStream, visitors::Visitor};
use crate::relay::poll_discard;

/// How long a connection may be silent: what widely used web servers allow between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 32 * 1024;
/// The same for HTTP/2, as its peers count (RFC 9113 §6.5.2).
const MAX_HEAD_LIST: u32 = 32 * 1024;
/// The most requests at a time on a connection of HTTP/2.
const MOST_REQUESTS: u32 = 128;
/// How long, and how much, a client may still send after the last answer, so that closing does not throw that answer away.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 1 << 20;
/// What a folder may have for pages that are not there.
const NOT_FOUND_PAGE: &str = "/404.html";

/// The site.
#[derive(Debug)]
pub(super) struct Site {
    folder: Option<PathBuf>,
    /// What is answered without a folder.
    error: StatusCode,
}

impl Site {
    /// The files of this folder; without one, a site where no page is.
    pub(super) const fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, error: StatusCode::NOT_FOUND }
    }

    /// A site that answers everything with this error.
    pub(super) const fn failing(error: StatusCode) -> Self {
        Self { folder: None, error }
    }

    /// The answer to one request, whose body does not matter.
    pub(super) async fn answer(&self, request: Request<()>) -> Response<WebBody> {
        let method = request.method().clone();
        let Some(folder) = &self.folder else { return plain(self.error, &method) };
        let answer = file(folder, request).await;
        if answer.status() == StatusCode::NOT_FOUND { not_found(folder, method).await } else { answer }
    }
}

/// What the folder has for a path.
async fn file(folder: &Path, request: Request<()>) -> Response<WebBody> {
    let method = request.method().clone();
    match ServeDir::new(folder).try_call(request).await {
        Ok(answer) => answer.map(BodyExt::boxed_unsync),
        Err(error) if is_absence(&error) => plain(StatusCode::NOT_FOUND, &method),
        Err(error) => {
            // Everybody may ask for any path: that is no news for the log.
            tracing::debug!(%error, "a file of the site for strangers cannot be read");
            plain(StatusCode::INTERNAL_SERVER_ERROR, &method)
        }
    }
}

/// Whether a file is not there, or not for everybody.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory)
}

/// The folder's own page for what is not there, or a plain one.
async fn not_found(folder: &Path, method: Method) -> Response<WebBody> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static(NOT_FOUND_PAGE);
    request.method_mut().clone_from(&method);
    let mut page = file(folder, request).await;
    if page.status() != StatusCode::OK {
        return plain(StatusCode::NOT_FOUND, &method);
    }
    *page.status_mut() = StatusCode::NOT_FOUND;
    page.headers_mut().remove(LAST_MODIFIED);
    page.headers_mut().remove(ACCEPT_RANGES);
    page
}

/// A page that says its status and nothing else.
pub(super) fn plain(status: StatusCode, method: &Method) -> Response<WebBody> {
    let text = format!(
        "<!DOCTYPE html>\n<html>\n<head><title>{status}</title></head>\n<body><h1>{status}</h1></body>\n</html>\n"
    );
    let length = HeaderValue::from(text.len());
    let body = if method == Method::HEAD { Bytes::new() } else { Bytes::from(text) };
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Serves the site over a connection until the client leaves it. A client that has got no answer until `patience` ends is left without
/// a word, as one would be whose bytes might still have become those of a user.
pub(super) async fn serve(site: Arc<Site>, stream: BoxStream, visitor: &Arc<Visitor>, patience: Instant) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // For the first head, `patience` ends before it.
    let head_timeout = patience.duration_since(Instant::now()).max(HEAD_TIMEOUT) + Duration::from_secs(1);
    // A client that has ended its side still gets its answer.
    server.http1().half_close(true).timer(TokioTimer::new()).header_read_timeout(head_timeout).max_buf_size(MAX_HEAD);
    server.http2().max_concurrent_streams(MOST_REQUESTS).max_header_list_size(MAX_HEAD_LIST).timer(TokioTimer::new());
    let service = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request.map(drop)).await) }
    });
    let (lent, back) = LentStream::new(stream, visitor, patience, IDLE);
    let served = server.serve_connection(TokioIo::new(lent), service).await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection to the site for strangers has failed");
    }
    if let Ok(Ok(stream)) = timeout(LINGER, back).await {
        let _ = timeout(LINGER, linger(stream)).await;
    }
}

/// Ends our side, and reads what the client still sends: closing over unread bytes would reset the connection.
async fn linger(mut stream: BoxStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut left = LINGER_BYTES;
    while left > 0 {
        match poll_fn(|cx| poll_discard(&mut stream, cx, left)).await? {
            0 => break,
            read => left -= read,
        }
    }
    Ok(())
}
