//! The server against our own client, and against visitors of a site.

use std::time::Duration;

use hezar_core::{EarlyData, Host, WebSocket};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, timeout},
};

use super::server;
use crate::{
    Attempt, BoxStream, Cause,
    served::StrangerReason,
    testing::{Chopped, chopped_pair},
    transport::{
        ServerPath, UpgradeServer,
        upgrade::tests::{judge, judge_bytes, left_to_site},
        websocket::{QUIET, SERVER_QUIET, WebSocketClient},
    },
};

/// The example of RFC 6455 §1.2, with another path.
const REQUEST: &str = "GET /ws?ed=2048 HTTP/1.1\r\nHost: server.example.com:8443\r\nUpgrade: websocket\r\n\
                       Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn at_path() -> UpgradeServer {
    server(ServerPath::new("/ws", None))
}

/// Our client and our server, each end cut into pieces.
async fn meet(settings: &WebSocket, seed: u64, most: usize) -> (BoxStream, BoxStream) {
    let (ours, peer) = chopped_pair(seed, most);
    let client = WebSocketClient::new(settings, None, &Host::new("203.0.113.9").unwrap());
    let attempt = Attempt::within(Duration::from_secs(3600));
    let server = at_path();
    let server = judge(&server, Box::new(Chopped::new(peer, seed + 1, most)));
    let opening = async {
        let mut stream = client.open(ours, &attempt).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let (client, server) = tokio::join!(opening, server);
    (client, server.client())
}

fn settings(early: Option<(u32, Option<&str>)>) -> WebSocket {
    let early_data = early.map(|(max_bytes, header)| EarlyData { max_bytes, header: header.map(Into::into) });
    WebSocket { path: "/ws".into(), early_data, ..WebSocket::default() }
}

#[tokio::test(start_paused = true)]
async fn our_client_meets_our_server() {
    let header = Some("Sec-WebSocket-Protocol");
    for early in [None, Some((2048, header)), Some((3, header)), Some((2048, None)), Some((3, None))] {
        for most in [1, 7, 64 * 1024] {
            let (mut client, mut server) = meet(&settings(early), 3, most).await;
            let mut question = [0; 8];
            server.read_exact(&mut question).await.unwrap();
            assert_eq!(&question, b"question");
            let long: Vec<u8> = (0..100_000_u32).map(|number| (number >> 3) as u8).collect();
            let (mut came, mut back) = (vec![0; long.len()], vec![0; long.len()]);
            let up = async {
                client.write_all(&long).await.unwrap();
                client.flush().await.unwrap();
                client.read_exact(&mut back).await.unwrap();
            };
            let down = async {
                server.read_exact(&mut came).await.unwrap();
                server.write_all(&came).await.unwrap();
                server.flush().await.unwrap();
            };
            tokio::join!(up, down);
            assert!(back == long);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_target_ends_the_client_soon() {
    let (mut client, mut server) = meet(&settings(None), 1, 99).await;
    server.read_exact(&mut [0; 8]).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    let started = Instant::now();
    let serving = tokio::spawn(async move {
        server.shutdown().await.unwrap();
        // What a relay does: it reads on.
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        rest
    });
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"answer");
    assert!(started.elapsed() < SERVER_QUIET * 2, "{:?}", started.elapsed());
    client.shutdown().await.unwrap();
    drop(client);
    assert!(serving.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_ended_still_gets_its_answer() {
    let (mut client, mut server) = meet(&settings(None), 1, 99).await;
    client.shutdown().await.unwrap();
    let serving = tokio::spawn(async move {
        let mut question = Vec::new();
        server.read_to_end(&mut question).await.unwrap();
        assert_eq!(question, b"question");
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        assert!(server.write_all(b"more").await.is_err());
        server
    });
    let started = Instant::now();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"answer");
    assert!(started.elapsed() < QUIET * 2, "{:?}", started.elapsed());
    drop(serving.await.unwrap());
}

async fn answer_of(peer: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(peer.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn golden_bytes() {
    // RFC 6455 §5.7: a masked "Hello", a masked ping, and then the ping's answer.
    let frames = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    for most in [1, 4096] {
        let (server, mut peer) = judge_bytes(&at_path(), &[REQUEST.as_bytes(), frames].concat(), most).await;
        let mut server = server.client();
        assert_eq!(answer_of(&mut peer).await, ANSWER);
        let mut hello = [0; 5];
        server.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"Hello");
        server.write_all(b"back").await.unwrap();
        server.flush().await.unwrap();
        let mut back = [0; 6];
        peer.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"\x82\x04back");
        assert!(timeout(Duration::from_millis(1), server.read_u8()).await.is_err());
        let mut pong = [0; 7];
        peer.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"\x8a\x05Hello");
    }
}

#[tokio::test]
async fn early_data_in_every_dialect() {
    let header =
        |value: &str| REQUEST.replace("Version: 13", &format!("Version: 13\r\nSec-WebSocket-Protocol: {value}"));
    for (request, early, echoed) in [
        (header("-_8AAQ"), &b"\xfb\xff\0\x01"[..], true),
        (header("+/8AAQ=="), b"\xfb\xff\0\x01", true),
        (header("no base64!"), b"", false),
        (REQUEST.replace("/ws", "/ws-_8AAQ"), b"\xfb\xff\0\x01", false),
    ] {
        let frame = b"\x82\x81\0\0\0\0!";
        let (server, mut peer) = judge_bytes(&at_path(), &[request.as_bytes(), frame].concat(), 50).await;
        assert_eq!(answer_of(&mut peer).await.contains("\r\nSec-WebSocket-Protocol: "), echoed, "{request}");
        let mut came = vec![0; early.len() + 1];
        server.client().read_exact(&mut came).await.unwrap();
        assert_eq!(came, [early, b"!"].concat());
    }
}

#[tokio::test]
async fn visitors_of_a_site_are_left_to_it() {
    let root = || server(ServerPath::new("/", None));
    let hosted = || server(ServerPath::new("ws", Some("server.example.com")));
    judge_bytes(&hosted(), REQUEST.as_bytes(), 9).await.0.client();
    let cases = [
        (REQUEST.replace("GET", "HEAD"), at_path()),
        (REQUEST.replace("/ws", "/"), at_path()),
        (REQUEST.replace("/ws", "/ws/a.html"), at_path()),
        (REQUEST.replace("/ws", "/index"), root()),
        (REQUEST.replace("server.example.com", "other.example"), hosted()),
        (REQUEST.replace("keep-alive, Upgrade", "keep-alive"), at_path()),
        (REQUEST.replace("Sec-WebSocket-Key", "X-Key"), at_path()),
        (REQUEST.replace("13", "8"), at_path()),
    ];
    for (request, server) in cases {
        for most in [1, 4096] {
            assert_eq!(left_to_site(&server, &request, most).await, StrangerReason::Protocol);
        }
    }
}

#[tokio::test]
async fn frames_that_are_no_clients() {
    let cases: [(&[u8], Option<&str>); 5] = [
        (b"", None),
        (b"\x82\x01a", Some("protocol")),
        (b"\x82\x85\0\0\0\0ab", Some("closed")),
        (b"\x80\x80\0\0\0\0", Some("protocol")),
        (b"\xc2\x80\0\0\0\0", Some("protocol")),
    ];
    for (frames, code) in cases {
        let (server, mut peer) = judge_bytes(&at_path(), &[REQUEST.as_bytes(), frames].concat(), 9).await;
        peer.shutdown().await.unwrap();
        let result = server.client().read_to_end(&mut Vec::new()).await;
        assert_eq!(result.err().map(|error| Cause::from(error).code()), code, "{frames:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_behind_a_request(bytes in proptest::collection::vec(any::<u8>(), 0..300), most in 1..100_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (server, mut peer) = judge_bytes(&at_path(), &[REQUEST.as_bytes(), &bytes].concat(), most).await;
            peer.shutdown().await.unwrap();
            let _ = server.client().read_to_end(&mut Vec::new()).await;
        });
    }
}
