//! Tests of HTTPUpgrade: golden bytes, a server written here, cut streams.

use std::time::Duration;

use hezar_core::{EarlyData, Fault, Host, HttpUpgrade, Stage, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{HttpUpgradeClient, server};
use crate::{
    Attempt, BoxStream, Cause, DialError,
    testing::{Chopped, chopped_pair},
    transport::{
        ServerPath,
        upgrade::tests::{judge, judge_bytes, left_to_site},
    },
};

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn settings(early: bool) -> HttpUpgrade {
    let early_data = early.then_some(EarlyData { max_bytes: 2048, header: None });
    HttpUpgrade { path: "/up".into(), early_data, ..HttpUpgrade::default() }
}

fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(60))
}

/// As over TLS when there is early data: without, it is never sent.
async fn open(settings: &HttpUpgrade, stream: BoxStream) -> Result<BoxStream, DialError> {
    let tls = settings.early_data.as_ref().map(|_| Tls::default());
    HttpUpgradeClient::new(settings, tls.as_ref(), &Host::new("203.0.113.9").unwrap()).open(stream, &attempt()).await
}

async fn head(peer: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn the_request() {
    let settings = HttpUpgrade {
        path: "a b?x=1".into(),
        headers: vec![
            ("X-Mine".into(), "yes".into()),
            ("Upgrade".into(), "h2c".into()),
            ("Sec-WebSocket-Key".into(), "x".into()),
            ("Bad".into(), "a\r\nInjected: b".into()),
        ],
        ..HttpUpgrade::default()
    };
    let tls = Tls { server_name: Some("sni.example".into()), ..Tls::default() };
    let client = HttpUpgradeClient::new(&settings, Some(&tls), &Host::new("203.0.113.9").unwrap());
    let agent = crate::transport::http1::USER_AGENT;
    let expected = format!(
        "GET /a%20b?x=1 HTTP/1.1\r\nHost: sni.example\r\nUser-Agent: {agent}\r\nX-Mine: yes\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    assert_eq!(&*client.request, expected);
}

#[tokio::test]
async fn bytes_go_as_they_are_after_the_answer() {
    for (seed, most) in [(1, 1), (2, 7), (3, 4096)] {
        let (ours, mut peer) = chopped_pair(seed, most);
        let serving = tokio::spawn(async move {
            assert!(head(&mut peer).await.starts_with("GET /up HTTP/1.1\r\nHost: 203.0.113.9\r\n"));
            peer.write_all(format!("HTTP/1.1 100 Continue\r\n\r\n{ACCEPTED}hello").as_bytes()).await.unwrap();
            let mut all = Vec::new();
            peer.read_to_end(&mut all).await.unwrap();
            peer.write_all(&all).await.unwrap();
        });
        let mut stream = open(&settings(false), ours).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"helloquestion");
        serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn early_bytes_leave_before_the_answer() {
    for (seed, most) in [(1, 1), (2, 7), (3, 4096)] {
        let (ours, mut peer) = chopped_pair(seed, most);
        let mut stream = open(&settings(true), ours).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.flush().await.unwrap();
        let long = "X-Padding: ".to_owned() + &"x".repeat(5000);
        let answer = ACCEPTED.replace("Connection", &format!("{long}\r\nConnection"));
        let serving = async {
            head(&mut peer).await;
            let mut question = [0; 8];
            peer.read_exact(&mut question).await.unwrap();
            assert_eq!(&question, b"question");
            peer.write_all(format!("{answer}answer").as_bytes()).await.unwrap();
            peer.shutdown().await.unwrap();
        };
        let mut all = Vec::new();
        let (read, ()) = tokio::join!(stream.read_to_end(&mut all), serving);
        read.unwrap();
        assert_eq!(all, b"answer");
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_clear_no_byte_is_early() {
    let (ours, mut peer) = chopped_pair(1, 100);
    let client = HttpUpgradeClient::new(&settings(true), None, &Host::new("203.0.113.9").unwrap());
    let attempt = Attempt::within(Duration::from_secs(5));
    let (opened, _) = tokio::join!(client.open(ours, &attempt), head(&mut peer));
    assert_eq!(opened.err().unwrap().code(), "timeout");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_speaks_first_needs_no_early_bytes() {
    let (ours, mut peer) = chopped_pair(5, 100);
    let mut stream = open(&settings(true), ours).await.unwrap();
    let serving = async {
        head(&mut peer).await;
        peer.write_all(format!("{ACCEPTED}SSH-2.0").as_bytes()).await.unwrap();
    };
    let mut greeting = [0; 7];
    let (read, ()) = tokio::join!(stream.read_exact(&mut greeting), serving);
    read.unwrap();
    assert_eq!(&greeting, b"SSH-2.0");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request() {
    let long = [b"HTTP/1.1 101 Yes\r\n".to_vec(), b"A: b\r\n".repeat(20_000)].concat();
    let cases: [(&[u8], &str); 5] = [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "transport-status"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "transport-status"),
        (b"SSH-2.0\r\n", "protocol"),
        (&long, "protocol"),
        (b"HTTP/1.1 101 half", "closed"),
    ];
    for (answer, code) in cases {
        for early in [false, true] {
            let (ours, mut peer) = chopped_pair(1, 500);
            let answer = answer.to_vec();
            let serving = tokio::spawn(async move {
                head(&mut peer).await;
                // A client that has seen enough may be gone.
                let _ = peer.write_all(&answer).await;
                let _ = peer.shutdown().await;
                peer
            });
            let opened = open(&settings(early), ours).await;
            if early {
                let mut stream = opened.unwrap();
                stream.write_all(b"question").await.unwrap();
                let error = stream.read_u8().await.unwrap_err();
                assert_eq!(Cause::from(error).code(), code);
            } else {
                let error = opened.err().unwrap();
                assert_eq!((error.stage, error.code(), error.fault()), (Stage::Transport, code, Fault::Node));
            }
            drop(serving.await.unwrap());
        }
    }
}

/// Our client and our server, each end cut into pieces.
async fn meet(early: bool, most: usize) -> (BoxStream, BoxStream) {
    let (ours, peer) = chopped_pair(3, most);
    let server = server::server(ServerPath::new("/up?ed=2048", Some("203.0.113.9")));
    let settings = settings(early);
    let (client, judged) = tokio::join!(open(&settings, ours), judge(&server, Box::new(Chopped::new(peer, 4, most))));
    (client.unwrap(), judged.client())
}

#[tokio::test(start_paused = true)]
async fn our_client_meets_our_server() {
    for (early, most) in [(false, 1), (false, 4096), (true, 1), (true, 4096)] {
        let (mut client, mut server) = meet(early, most).await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"question");
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"answer");
    }
}

#[tokio::test]
async fn golden_bytes_of_the_server_and_what_it_leaves_to_a_site() {
    let server = server::server(ServerPath::new("/up", None));
    let request = "GET /up?x=1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    for most in [1, 4096] {
        let (client, mut peer) = judge_bytes(&server, format!("{request}hello").as_bytes(), most).await;
        let mut hello = [0; 5];
        client.client().read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"hello");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(head(&mut peer).await, answer);
        let others = [
            request.replace("GET", "POST"),
            request.replace("/up", "/other"),
            request.replace("/up", "/up/more"),
            request.replace("upgrade", "close"),
            request.replace("WebSocket", "h2c"),
            request.replace("Host: a", "Sec-WebSocket-Key: a"),
            request.replace("Host: a", "Host : a"),
            request.replace("Host: a", &format!("X: {}", "x".repeat(17_000))),
            request.replace("Host: a\r\n", &"A: b\r\n".repeat(63)),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ];
        for other in others {
            left_to_site(&server, &other, most).await;
        }
    }
}
