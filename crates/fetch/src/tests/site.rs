//! A web server on loopback that answers as a test wants, and the way to it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use hezar_core::{Secret, Stage, Target, Timestamp, settings::known_url};
use hezar_engine::{Attempt, BoxStream, DialError, Dialer, TlsClients};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{Documents, FetchConfig, FetchError, FetchMetrics, Fetched, Fetcher, SourceKind, SourceSpec, Validators};

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// 2026-01-31 12:00:00 UTC.
pub(super) const NOW: Timestamp = Timestamp(1_769_860_800_000);

/// What a request looked like: path with query, and headers as `name: value`.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: Vec<String>,
}

impl Seen {
    pub(super) fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line == header)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The server; it ends when it is dropped. As a dialer it is every host there is.
#[derive(Debug)]
pub(super) struct Site {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _server: JoinSet<()>,
}

impl Site {
    pub(super) async fn new(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let mut server = JoinSet::new();
        let log = Arc::clone(&seen);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, Arc::clone(&answer), Arc::clone(&log)));
            }
        });
        Self { address, seen, _server: server }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// Fetches from here, with bases of their own host names.
    pub(super) async fn fetch(&self, spec: &SourceSpec, before: &Validators) -> Result<Fetched, FetchError> {
        fetcher(Duration::from_secs(60)).fetch(spec, self, before, NOW).await
    }

    /// Fetches and expects documents.
    pub(super) async fn documents(&self, spec: &SourceSpec, before: &Validators) -> Documents {
        match self.fetch(spec, before).await.unwrap() {
            Fetched::Documents(documents) => documents,
            Fetched::NotModified => panic!("not modified"),
        }
    }

    /// Fetches and expects a failure, whose code has to be in the tables.
    pub(super) async fn failure(&self, spec: &SourceSpec) -> FetchError {
        let error = self.fetch(spec, &Validators::default()).await.unwrap_err();
        let known = FetchError::CODES.iter().chain(hezar_engine::Cause::CODES).any(|doc| doc.code == error.code());
        assert!(known, "{error:?}");
        error
    }
}

async fn connection<A>(stream: TcpStream, answer: Arc<A>, log: Arc<Mutex<Vec<Seen>>>)
where
    A: Fn(&Seen) -> Answer + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default())).collect();
        let seen = Seen { path: request.uri().to_string(), headers };
        let response = answer(&seen);
        log.lock().unwrap().push(seen);
        async move { Ok::<_, Infallible>(response) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[async_trait]
impl Dialer for Site {
    async fn connect(&self, _: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = attempt.stage(Stage::Connect, TcpStream::connect(self.address)).await?;
        Ok(Box::new(stream))
    }
}

pub(super) fn fetcher(request: Duration) -> Fetcher {
    let config = FetchConfig {
        request,
        github_api: known_url("http://api.github.test"),
        github_raw: known_url("http://raw.github.test/"),
        telegram: known_url("http://t.test"),
        ..FetchConfig::default()
    };
    Fetcher::new(config, TlsClients::new(&[]), FetchMetrics::default())
}

pub(super) fn url(url: &str) -> SourceSpec {
    SourceSpec::new("mine", SourceKind::Url(Secret::new(url)))
}

/// An answer with headers.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body.into()).boxed_unsync()).unwrap()
}

pub(super) fn ok(body: impl Into<Bytes>) -> Answer {
    answer(200, &[], body)
}

/// A chunked body.
pub(super) fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    Response::new(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync())
}

/// A body without an end.
pub(super) fn endless() -> Answer {
    streamed(stream::repeat(Bytes::from_static(&[b'x'; 4096])))
}

/// A body that begins and never goes on.
pub(super) fn stuck() -> Answer {
    streamed(stream::iter([Bytes::from_static(b"ss://")]).chain(stream::pending()))
}
