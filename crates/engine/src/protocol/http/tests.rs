//! Tests of the HTTP CONNECT outbound.

use std::{sync::Arc, time::Duration};

use hezar_core::{Credentials, Fault, HttpProxy, Stage, Target};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::build;
use crate::{
    Attempt, BoxStream, DialError, Dialer, TlsClients,
    http::{HttpRequest, ResponseLimits, send},
    io::http_head::{Head, MOST_HEAD},
    testing::connector_pair,
};

fn dialer(user: Option<(&str, &str)>, seed: u64) -> (Arc<dyn Dialer>, DuplexStream) {
    let (connector, peer) = connector_pair(seed, 11);
    let credentials = user.map(|(name, password)| Credentials { username: name.into(), password: password.into() });
    (build(&HttpProxy { credentials, tls: None }, connector).unwrap(), peer)
}

/// Dials through a server that reads one request head and answers with `answer`. Returns the request, too.
async fn dial(user: Option<(&str, &str)>, seed: u64, answer: &[u8]) -> (Result<BoxStream, DialError>, String) {
    let (dialer, mut peer) = dialer(user, seed);
    let (target, attempt) = (Target::parse("example.org:443").unwrap(), Attempt::within(Duration::from_secs(30)));
    let server = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(peer.read_u8().await.unwrap());
        }
        let _ = peer.write_all(answer).await;
        drop(peer);
        String::from_utf8(request).unwrap()
    };
    tokio::join!(dialer.connect(&target, &attempt), server)
}

#[tokio::test]
async fn a_tunnel_keeps_what_came_behind_the_head() {
    for seed in 0..20 {
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nSSH-2.0-early";
        let (result, request) = dial(Some(("user", "pa:ss")), seed, answer).await;
        let expected = "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\
                        Proxy-Authorization: Basic dXNlcjpwYTpzcw==\r\n\r\n";
        assert_eq!(request, expected);
        let mut got = String::new();
        result.unwrap().read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "SSH-2.0-early");
    }
}

/// Asks for a page through a proxy that answers with `answer`; returns what the proxy was asked.
async fn fetch(url: &str, answer: &'static [u8]) -> (Result<u16, DialError>, String) {
    let (dialer, mut peer) = dialer(Some(("user", "pass")), 7);
    let (request, attempt) = (HttpRequest::get(url).unwrap(), Attempt::within(Duration::from_secs(30)));
    let tls = TlsClients::new(&[]);
    let server = async {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(peer.read_u8().await.unwrap());
        }
        peer.write_all(answer).await.unwrap();
        String::from_utf8(asked).unwrap()
    };
    let (answer, asked) = tokio::join!(send(&*dialer, &tls, &request, &attempt, ResponseLimits::default()), server);
    (answer.map(|answer| answer.status()), asked)
}

#[tokio::test]
async fn a_plain_request_goes_to_the_proxy_in_absolute_form() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (url, line) in [
        ("http://example.org/a?b=c", "GET http://example.org/a?b=c HTTP/1.1\r\n"),
        ("http://example.org:8080", "GET http://example.org:8080/ HTTP/1.1\r\n"),
        ("http://[2001:db8::1]/", "GET http://[2001:db8::1]/ HTTP/1.1\r\n"),
    ] {
        let (status, asked) = fetch(url, page).await;
        assert_eq!(status.unwrap(), 200);
        assert!(asked.starts_with(line), "{asked}");
        assert!(asked.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz\r\n"), "{asked}");
    }
    let (status, _) = fetch("http://example.org/", b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n").await;
    let error = status.unwrap_err();
    assert_eq!((error.stage, error.code(), error.fault()), (Stage::Handshake, "authentication", Fault::Node));
    // https is never asked for in clear.
    let (_, asked) = fetch("https://example.org/", b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
    assert!(asked.starts_with("CONNECT example.org:443 "), "{asked}");
}

#[tokio::test]
async fn a_refused_tunnel_is_told_from_a_refused_target() {
    for (status, refuses) in
        [("403", true), ("405", true), ("400", true), ("501", true), ("407", false), ("429", false), ("502", false)]
    {
        let (result, _) = dial(None, 1, format!("HTTP/1.1 {status} Text\r\n\r\n").as_bytes()).await;
        assert_eq!(result.err().unwrap().refuses_tunnel(), refuses, "{status}");
    }
}

/// What curl and browsers take for an open tunnel.
#[tokio::test]
async fn odd_answers_open_the_tunnel() {
    let many = (0..900).fold(String::new(), |text, n| text + &format!("X-{n}: v\r\n"));
    for head in [
        "HTTP/1.1 200 OK\r\nVia: a\r\n b\r\n\tc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Odd : v\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX Odd Name: v\r\n(bad): x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno header at all\r\n: no name\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.0  200  Connection established\r\n\r\n",
        "HTTP/1.0 200 Connection established\n\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 Verbindung steht \u{fc}ber Proxy\r\nX-\u{e9}: \u{e9}\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
    ] {
        let (result, _) = dial(None, 3, format!("{head}early").as_bytes()).await;
        let mut got = String::new();
        result.unwrap_or_else(|error| panic!("{head:?}: {error}")).read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "early", "{head:?}");
    }
}

#[tokio::test]
async fn statuses_say_whose_fault_it_was() {
    let expect = [
        ("407", "authentication", Fault::Node),
        ("403", "forbidden", Fault::Node),
        ("502", "target-unreachable", Fault::Target),
        ("503", "target-unreachable", Fault::Target),
        ("504", "target-unreachable", Fault::Target),
        ("500", "server-failure", Fault::Node),
        ("405", "server-failure", Fault::Node),
        ("302", "server-failure", Fault::Node),
        ("999", "protocol", Fault::Node),
    ];
    for (status, code, fault) in expect {
        let (result, _) = dial(None, 1, format!("HTTP/1.1 {status} Text\r\nX: y\r\n\r\nbody").as_bytes()).await;
        let error = result.err().unwrap();
        assert_eq!((error.stage, error.code(), error.fault()), (Stage::Handshake, code, fault), "{status}");
    }
}

#[tokio::test]
async fn garbage_is_refused_and_bounded() {
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(MOST_HEAD)].concat();
    let answers: [(&[u8], &str); 5] = [
        (b"SSH-2.0-OpenSSH\r\n", "protocol"),
        (&endless, "protocol"),
        (b"HTTP/1.1 200 OK\r\nhalf", "closed"),
        (b"", "closed"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 No\r\n\r\n", "authentication"),
    ];
    for (answer, code) in answers {
        let error = dial(None, 2, answer).await.0.err().unwrap();
        assert_eq!((error.stage, error.code()), (Stage::Handshake, code));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_deadline() {
    let (dialer, _peer) = dialer(None, 1);
    let attempt = Attempt::within(Duration::from_secs(5));
    let error = dialer.connect(&Target::parse("a.b:1").unwrap(), &attempt).await.err().unwrap();
    assert_eq!((error.stage, error.code(), error.fault()), (Stage::Handshake, "timeout", Fault::Node));
}

proptest! {
    #[test]
    fn any_head_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "HTTP/1\\.[01] [0-9]{3} .{0,40}(\r\n[a-z-]{1,9}: .{0,20}){0,5}\r\n\r\n") {
        let _ = Head::parse(&bytes);
        if let Ok(Some((_, length))) = Head::parse(text.as_bytes()) {
            prop_assert!(length <= text.len());
        }
    }
}
