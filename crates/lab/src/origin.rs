//! The origin: an HTTP server that says through which upstream server it was reached.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{ledger::Ledger, secure::Certificates};

/// The name of the HTTP origin, port 80.
pub const DEMO_HOST: &str = "demo.hezar";
/// Another name of the HTTP origin, port 80, that can be taken away: see [`World::set_beacon`](crate::World::set_beacon).
pub const BEACON_HOST: &str = "beacon.hezar";
/// The name of the TCP echo, port 7.
pub const ECHO_HOST: &str = "echo.hezar";
/// A name whose every port refuses connections.
pub const CLOSED_HOST: &str = "closed.hezar";
/// The name of a service that speaks first and then echoes, port 25.
pub const GREET_HOST: &str = "greet.hezar";
/// The name of a service that counts every line it gets, port 9.
pub const LEDGER_HOST: &str = "ledger.hezar";
/// A name that does not exist in this world.
pub const MISSING_HOST: &str = "missing.hezar";

/// The most bytes that `/bytes/N` sends.
const MAX_DOWN: u64 = 1 << 30;
/// The longest pause of `/wait/MS`.
const MAX_WAIT: u64 = 60_000;

/// What the origin tells about the way that a request took.
#[derive(Clone, Debug)]
pub(crate) struct OriginInfo {
    /// The upstream server's name.
    pub(crate) node: String,
    /// Its kind.
    pub(crate) kind: &'static str,
    /// Its index.
    pub(crate) index: usize,
    /// The address that a trace page shows.
    pub(crate) exit: IpAddr,
    /// The country that a trace page shows.
    pub(crate) country: String,
    /// What all targets of the world have been asked.
    pub(crate) ledger: Arc<Ledger>,
    /// The certificates of the world's targets.
    pub(crate) certificates: Certificates,
}

type Answer = Response<Either<Full<Bytes>, Pattern>>;

/// Serves HTTP/1.1 on one tunnel until the client is done.
pub(crate) async fn serve<S>(tunnel: S, info: &OriginInfo, requests: &AtomicU64) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = hyper::service::service_fn(|request| async {
        let count = requests.fetch_add(1, Ordering::Relaxed) + 1;
        Ok::<_, Infallible>(answer(request, info, count).await)
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(300))
        .half_close(true)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(tunnel), service)
        .await
}

async fn answer(request: Request<Incoming>, info: &OriginInfo, count: u64) -> Answer {
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let number = |text: Option<&str>| text.and_then(|n| n.parse::<u64>().ok());
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("generate_204", None) => empty(StatusCode::NO_CONTENT),
        ("bytes", text) => match number(text) {
            Some(length) if length <= MAX_DOWN => Response::new(Either::Right(Pattern { left: length })),
            _ => empty(StatusCode::BAD_REQUEST),
        },
        ("count", None) => counted(request).await,
        ("ledger", Some(name)) => {
            let times = info.ledger.note(&format!("{} {name}", request.method()));
            json_answer(&json!({ "times": times, "bytes": drained(request.into_body()).await }))
        }
        ("status", text) => {
            let status = number(text).and_then(|n| u16::try_from(n).ok()).map(StatusCode::from_u16);
            empty(status.and_then(Result::ok).filter(|s| s.as_u16() >= 200).unwrap_or(StatusCode::BAD_REQUEST))
        }
        ("wait", text) => {
            tokio::time::sleep(Duration::from_millis(number(text).unwrap_or(0).min(MAX_WAIT))).await;
            described(&request, info, count)
        }
        ("headers", None) => headers(&request),
        ("judge", None) => judge(&request, info),
        ("cdn-cgi", Some("trace")) => trace(info),
        _ => described(&request, info, count),
    }
}

fn described(request: &Request<Incoming>, info: &OriginInfo, count: u64) -> Answer {
    json_answer(&json!({
        "node": info.node,
        "kind": info.kind,
        "index": info.index,
        "exit": info.exit.to_string(),
        "country": info.country,
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "count": count,
    }))
}

/// Every header as a list of pairs, so that a test sees what a proxy added or left in.
fn headers(request: &Request<Incoming>) -> Answer {
    let pairs: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    json_answer(&json!({ "method": request.method().as_str(), "uri": request.uri().to_string(), "headers": pairs }))
}

/// The page of a judge: what a CGI script is told of the request (RFC 3875 §4.1).
fn judge(request: &Request<Incoming>, info: &OriginInfo) -> Answer {
    use std::fmt::Write;
    let mut text = format!("<pre>\nREMOTE_ADDR = {}\nREQUEST_METHOD = {}\n", info.exit, request.method());
    for (name, value) in request.headers() {
        let name = name.as_str().to_ascii_uppercase().replace('-', "_");
        let _ = writeln!(text, "HTTP_{name} = {}", String::from_utf8_lossy(value.as_bytes()));
    }
    Response::new(Either::Left(Full::new(Bytes::from(text + "</pre>\n"))))
}

/// Counts the bytes of the body, however long it is.
async fn counted(request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST && request.method() != Method::PUT {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    match drained(request.into_body()).await {
        Some(bytes) => json_answer(&json!({ "bytes": bytes })),
        None => empty(StatusCode::BAD_REQUEST),
    }
}

/// The length of a body; nothing when it breaks off.
async fn drained(mut body: Incoming) -> Option<u64> {
    let mut bytes = 0_u64;
    while let Some(frame) = body.frame().await {
        let length = frame.ok()?.data_ref().map_or(0, Bytes::len);
        bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
    }
    Some(bytes)
}

/// The address and the country in the `key=value` form of a trace page.
fn trace(info: &OriginInfo) -> Answer {
    let text = format!("h={DEMO_HOST}\nip={}\nloc={}\n", info.exit, info.country);
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(text))));
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    answer
}

fn json_answer(value: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(format!("{value}\n")))));
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}

/// A body of the byte `h`, made as it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    left: u64,
}

static BLOCK: [u8; 16 * 1024] = [b'h'; 16 * 1024];

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK.len());
        self.left -= u64::try_from(length).unwrap_or(self.left);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(BLOCK.get(..length).unwrap_or_default())))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
