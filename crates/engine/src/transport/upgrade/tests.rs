//! What comes of connections that begin as HTTP/1.1: clients at once, clients behind visitors, and strangers.

use std::sync::Arc;

use bytes::Bytes;
use hezar_core::Target;
use http::Response;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{Opener, ServerPath, UpgradeServer};
use crate::{
    BoxStream,
    served::{BoxSession, CredentialId, InboundRequest, Opening, SessionItem, Stranger, StrangerReason, StreamRequest},
    testing::Chopped,
    transport::{
        http_server::testing::{SITE, opener as known},
        http_upgrade, websocket,
    },
};

/// What a connection turned out to be.
pub(in super::super) enum Judged {
    Client(BoxStream),
    Stranger(Stranger),
    Visitor,
}

/// Takes every stream for a request.
fn opener() -> Opener {
    Arc::new(|stream| {
        let target = Target::parse("a.example:1").unwrap();
        let stream = Box::new(stream);
        let request = StreamRequest { credential: CredentialId(0), target, stream };
        Box::pin(async move { Ok(Opening::Request(InboundRequest::Stream(request))) })
    })
}

/// What a server makes of a connection.
pub(in super::super) async fn judge(server: &UpgradeServer, io: BoxStream) -> Judged {
    match server.accept(io, opener()).await.unwrap() {
        Opening::Request(InboundRequest::Stream(request)) => Judged::Client(request.stream),
        Opening::Stranger(stranger) => Judged::Stranger(stranger),
        Opening::Session(_) => Judged::Visitor,
        _ => panic!("nothing that a transport opens"),
    }
}

/// What a server makes of these bytes in pieces, and the client's end.
pub(in super::super) async fn judge_bytes(server: &UpgradeServer, bytes: &[u8], most: usize) -> (Judged, DuplexStream) {
    let (ours, mut peer) = duplex(64 * 1024);
    peer.write_all(bytes).await.unwrap();
    (judge(server, Box::new(Chopped::new(ours, 4, most))).await, peer)
}

impl Judged {
    /// The client's stream.
    pub(in super::super) fn client(self) -> BoxStream {
        match self {
            Self::Client(stream) => stream,
            Self::Stranger(stranger) => panic!("{stranger:?}"),
            Self::Visitor => panic!("a visitor"),
        }
    }

    /// The stranger.
    pub(in super::super) fn stranger(self) -> Stranger {
        match self {
            Self::Stranger(stranger) => stranger,
            Self::Client(_) => panic!("a client"),
            Self::Visitor => panic!("a visitor"),
        }
    }
}

/// Sends what is no client's: every byte must be left to a site, and nothing may be answered. Returns the reason.
pub(in super::super) async fn left_to_site(server: &UpgradeServer, request: &str, most: usize) -> StrangerReason {
    let (judged, mut peer) = judge_bytes(server, request.as_bytes(), most).await;
    let Stranger { mut stream, why } = judged.stranger();
    let mut all = vec![0; request.len()];
    stream.read_exact(&mut all).await.unwrap();
    assert_eq!(String::from_utf8(all).unwrap(), request);
    drop(stream);
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0, "nothing was answered");
    why
}

const PLAIN: &str = "GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n";

async fn read_answer(stream: &mut DuplexStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(end) {
        answer.push(char::from(stream.read_u8().await.unwrap()));
    }
    answer
}

/// Answers one web request, and is an echo for the client that comes next, whose stream outlives the session.
async fn serve(mut session: BoxSession) {
    let Some(SessionItem::Web(request)) = session.next().await else { panic!("no web request") };
    assert_eq!(request.request.uri().path(), "/index.html");
    let body = Full::new(Bytes::from(SITE)).map_err(|never| match never {}).boxed_unsync();
    tokio::spawn(request.responder.respond(Response::new(body)));
    let Some(SessionItem::Request(InboundRequest::Stream(request))) = session.next().await else { panic!("no client") };
    assert!(session.next().await.is_none());
    drop(session);
    let (mut read, mut write) = tokio::io::split(request.stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

/// CDNs send clients and visitors over the same connections.
#[tokio::test]
async fn a_client_may_come_behind_visitors() {
    let upgrade = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let path = || ServerPath::new("/up", None);
    let cases = [
        (http_upgrade::server::server(path()), format!("{upgrade}\r\n"), &b"!ping"[..], &b"ping"[..]),
        (websocket::server::server(path()), format!("{upgrade}{key}\r\n"), b"\x82\x85\0\0\0\0!ping", b"\x82\x04ping"),
    ];
    for (server, upgrade, said, answered) in cases {
        let (ours, mut peer) = duplex(64 * 1024);
        peer.write_all(PLAIN.as_bytes()).await.unwrap();
        let Opening::Session(session) = server.accept(Box::new(Chopped::new(ours, 4, 7)), known()).await.unwrap()
        else {
            panic!("no session");
        };
        let serving = tokio::spawn(serve(session));
        let answer = read_answer(&mut peer, SITE).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        // The client and its first bytes in one write.
        peer.write_all(&[upgrade.as_bytes(), said].concat()).await.unwrap();
        let answer = read_answer(&mut peer, "\r\n\r\n").await.to_lowercase();
        assert!(answer.starts_with("http/1.1 101 ") && answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
        let mut back = vec![0; answered.len()];
        peer.read_exact(&mut back).await.unwrap();
        assert_eq!(back, answered);
        drop(peer);
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_plain_is_served_by_request_and_the_rest_as_it_is() {
    let server = http_upgrade::server::server(ServerPath::new("/up", None));
    for plain in [PLAIN, &PLAIN.replace("GET", "HEAD")] {
        assert!(matches!(judge_bytes(&server, plain.as_bytes(), 3).await.0, Judged::Visitor));
    }
    for other in [
        PLAIN.replace("Host: a", "Connection: close"),
        PLAIN.replace("Host: a", "Upgrade: h2c"),
        PLAIN.replace("Host: a", "Content-Length: 5"),
        PLAIN.replace("HTTP/1.1", "HTTP/1.0"),
        PLAIN.replace("GET", "POST"),
        PLAIN.replace("GET", "GETS"),
    ] {
        left_to_site(&server, &other, 3).await;
    }
}

/// The transport has answered, so nothing else can.
#[tokio::test]
async fn a_stranger_inside_is_closed() {
    let server = http_upgrade::server::server(ServerPath::new("/up", None));
    let (ours, mut peer) = duplex(64 * 1024);
    let request = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n?";
    peer.write_all(request.as_bytes()).await.unwrap();
    let Opening::Stranger(mut stranger) = server.accept(Box::new(ours), known()).await.unwrap() else {
        panic!("no stranger");
    };
    stranger.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && !answer.contains("400"), "{answer}");
}
