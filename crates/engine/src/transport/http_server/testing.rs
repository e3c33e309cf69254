//! A gateway in memory for transports that are sessions: clients begin with `!`, and their streams are an echo. Streams that begin with
//! `<` have an end instead of an answer.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use hezar_core::Target;
use http::Response;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, split},
    sync::Notify,
};

use super::Opener;
use crate::{
    BoxStream,
    served::{
        BoxServed, CredentialId, InboundRequest, InboundSession, Opening, SessionItem, Stranger, StrangerReason,
        StreamRequest, WebRequest,
    },
};

/// The ports of what targets do.
const ECHO: u16 = 7;
const DISCARD: u16 = 9;

/// What the site says to strangers, with status 404.
pub(crate) const SITE: &str = "no such page";

/// Counts what a gateway sees.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    /// Requests of clients so far.
    pub(crate) requests: AtomicUsize,
    /// Requests of strangers so far that have come as far as the protocol inside.
    pub(crate) strangers: AtomicUsize,
    /// Web requests so far.
    pub(crate) web: AtomicUsize,
    /// What streams with an end instead of an answer have said.
    pub(crate) heard: Mutex<Vec<u8>>,
    /// Streams that are served now.
    pub(crate) alive: AtomicUsize,
    /// Told when clients shall take other connections.
    pub(crate) closing: Notify,
}

/// Takes the first byte as the credential: `!` = a request, `#` = a session with one request.
pub(crate) fn opener() -> Opener {
    Arc::new(|mut stream| {
        Box::pin(async move {
            Ok(match stream.read_u8().await? {
                b'!' => Opening::Request(request(stream, ECHO)),
                b'<' => Opening::Request(request(stream, DISCARD)),
                b'#' => Opening::Session(Box::new(Inner(Some(stream)))),
                _ => Opening::Stranger(Stranger { stream, why: StrangerReason::Credential }),
            })
        })
    })
}

fn request(stream: BoxStream, port: u16) -> InboundRequest {
    let target = Target::parse(&format!("a.example:{port}")).unwrap();
    let stream: BoxServed = Box::new(stream);
    InboundRequest::Stream(StreamRequest { credential: CredentialId(1), target, stream })
}

/// A session with one request.
struct Inner(Option<BoxStream>);

#[async_trait]
impl InboundSession for Inner {
    async fn next(&mut self) -> Option<SessionItem> {
        match self.0.take() {
            Some(stream) => Some(SessionItem::Request(request(stream, ECHO))),
            None => pending().await,
        }
    }
}

impl Gateway {
    /// Serves a session until it is over.
    pub(crate) async fn serve(self: Arc<Self>, opening: Opening) {
        let Opening::Session(mut session) = opening else { panic!("no session") };
        loop {
            let item = tokio::select! {
                item = session.next() => item,
                () = self.closing.notified() => {
                    session.go_away();
                    continue;
                }
            };
            let Some(item) = item else { return };
            match item {
                SessionItem::Request(InboundRequest::Stream(request)) => {
                    self.requests.fetch_add(1, SeqCst);
                    if request.target.port() == DISCARD {
                        tokio::spawn(Arc::clone(&self).discard(request.stream));
                    } else {
                        tokio::spawn(Arc::clone(&self).echo(request.stream));
                    }
                }
                SessionItem::Request(InboundRequest::Datagrams(_)) => panic!("datagrams"),
                SessionItem::Stranger(_) => {
                    self.strangers.fetch_add(1, SeqCst);
                }
                SessionItem::Web(request) => {
                    self.web.fetch_add(1, SeqCst);
                    let WebRequest { responder, .. } = *request;
                    let body = Full::new(Bytes::from(SITE)).map_err(|never| match never {}).boxed_unsync();
                    let answer = Response::builder().status(404).header("connection", "close").body(body).unwrap();
                    tokio::spawn(responder.respond(answer));
                }
            }
        }
    }

    async fn discard(self: Arc<Self>, mut stream: BoxServed) {
        self.alive.fetch_add(1, SeqCst);
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        self.heard.lock().extend(heard);
        self.alive.fetch_sub(1, SeqCst);
    }

    async fn echo(self: Arc<Self>, stream: BoxServed) {
        self.alive.fetch_add(1, SeqCst);
        let (mut read, mut write) = split(stream);
        if copy(&mut read, &mut write).await.is_ok() {
            let _ = write.shutdown().await;
        }
        self.alive.fetch_sub(1, SeqCst);
    }
}
