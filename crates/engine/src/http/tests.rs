//! Tests of the HTTP exchange against scripted servers.

use std::time::Duration;

use hezar_core::{Fault, Stage};
use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::{HttpRequest, HttpResponse, RequestError, ResponseLimits, response::cause_of_io, send};
use crate::{
    Attempt, Cause, DialError, TlsClients,
    testing::{Authority, Once, chopped_pair},
};

async fn serve(mut peer: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8], closes: bool) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match peer.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return String::new(),
        }
    }
    let _ = peer.write_all(answer).await;
    let _ = peer.flush().await;
    if !closes {
        let _ = peer.read_u8().await;
    }
    String::from_utf8(request).unwrap()
}

async fn ask(
    url: &str,
    answer: &[u8],
    closes: bool,
    limits: ResponseLimits,
) -> (Result<(u16, Vec<u8>), DialError>, String) {
    let (ours, theirs) = chopped_pair(4, 100);
    let dialer = Once::new(ours);
    let request = HttpRequest::get(url).unwrap().with_header("user-agent", "test").unwrap();
    let (attempt, tls) = (Attempt::within(Duration::from_secs(10)), TlsClients::new(&[]));
    let client = async {
        let response = send(&dialer, &tls, &request, &attempt, limits).await?;
        let status = response.status();
        Ok((status, response.bytes().await?.to_vec()))
    };
    tokio::join!(client, serve(theirs, answer, closes))
}

fn failure(result: Result<(u16, Vec<u8>), DialError>) -> (Stage, &'static str, Fault) {
    let error = result.err().unwrap();
    (error.stage, error.code(), error.fault())
}

#[tokio::test]
async fn a_small_answer() {
    let answer = b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n";
    let (result, request) =
        ask("http://u:p%40ss@demo.hezar:8080/a%20b?c=d#e", answer, false, ResponseLimits::default()).await;
    assert_eq!(result.unwrap(), (204, Vec::new()));
    assert!(request.starts_with("GET /a%20b?c=d HTTP/1.1\r\n"), "{request}");
    for line in ["host: demo.hezar:8080", "connection: close", "authorization: Basic dTpwQHNz", "user-agent: test"] {
        assert!(request.contains(&format!("{line}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_post_carries_its_body_with_its_length() {
    let (ours, mut theirs) = chopped_pair(4, 100);
    let dialer = Once::new(ours);
    let request = HttpRequest::get("http://a.b/hook?x=y").unwrap().with_body("application/json", r#"{"a":1}"#).unwrap();
    let (attempt, tls) = (Attempt::within(Duration::from_secs(10)), TlsClients::new(&[]));
    let server = async {
        let mut said = Vec::new();
        while !said.ends_with(br#"{"a":1}"#) {
            said.push(theirs.read_u8().await.unwrap());
        }
        theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        theirs.flush().await.unwrap();
        String::from_utf8(said).unwrap()
    };
    let (answer, said) = tokio::join!(send(&dialer, &tls, &request, &attempt, ResponseLimits::default()), server);
    assert_eq!(answer.unwrap().status(), 200);
    assert!(said.starts_with("POST /hook?x=y HTTP/1.1\r\n"), "{said}");
    for line in ["host: a.b", "content-type: application/json", "content-length: 7"] {
        assert!(said.contains(&format!("{line}\r\n")), "{said}");
    }
}

#[tokio::test]
async fn bodies_of_every_kind() {
    let body = "x".repeat(50_000);
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let sized = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let until_end = format!("HTTP/1.0 200 OK\r\n\r\n{body}");
    for (answer, closes) in [(chunked, false), (sized, false), (until_end, true)] {
        let (result, _) = ask("http://a.b/", answer.as_bytes(), closes, ResponseLimits::default()).await;
        let (status, got) = result.unwrap();
        assert_eq!((status, got.len()), (200, body.len()));
    }
}

/// What curl and browsers read without a word.
#[tokio::test]
async fn odd_heads_are_read() {
    let many = (0..500).fold(String::new(), |text, n| text + &format!("X-{n}: v\r\n"));
    for head in [
        "HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Odd : v\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX Odd Name: v\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\n",
        &format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 2\r\n\r\n"),
    ] {
        let (result, _) = ask("http://a.b/", format!("{head}ok").as_bytes(), true, ResponseLimits::default()).await;
        assert_eq!(result.unwrap(), (200, b"ok".to_vec()), "{head:?}");
    }
}

#[tokio::test]
async fn a_body_is_bounded() {
    let limits = ResponseLimits { body: 10, ..ResponseLimits::default() };
    let (result, _) = ask("http://a.b/", b"HTTP/1.0 200 OK\r\n\r\n0123456789", true, limits).await;
    assert!(result.is_ok());
    let (result, _) = ask("http://a.b/", b"HTTP/1.0 200 OK\r\n\r\n0123456789A", true, limits).await;
    assert_eq!(failure(result), (Stage::Exchange, "unexpected-answer", Fault::Node));
}

#[tokio::test(start_paused = true)]
async fn failures_have_names() {
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: b\r\n".repeat(50_000)].concat();
    let cases: [(&[u8], bool, &str); 6] = [
        (b"", false, "timeout"),
        (b"", true, "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false, "timeout"),
        (b"SSH-2.0-x\r\n\r\n", true, "unexpected-answer"),
        (&endless, true, "unexpected-answer"),
    ];
    for (answer, closes, code) in cases {
        let (result, _) = ask("http://a.b/", answer, closes, ResponseLimits::default()).await;
        assert_eq!(failure(result), (Stage::Exchange, code, Fault::Node), "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn the_end_of_a_nodes_stream_keeps_its_cause() {
    let code = |cause: Cause| cause_of_io(&cause.into()).code();
    assert_eq!(code(Cause::Closed), "closed");
    assert_eq!(code(Cause::CoreUnavailable("it has ended")), Cause::CORE_UNAVAILABLE);
    assert_eq!(code(Cause::Certificate("self-signed".into())), "io", "no certificate of the target");
}

#[tokio::test]
async fn https_is_verified() {
    let authority = Authority::new();
    let (acceptor, _) = authority.server(&["demo.hezar"], &["http/1.1"]);
    let trusting = TlsClients::new(std::slice::from_ref(&authority.root));
    for (tls, url, code) in [
        (&trusting, "https://demo.hezar/", None),
        (&trusting, "https://other.hezar/", Some("certificate")),
        (&TlsClients::new(&[]), "https://demo.hezar/", Some("certificate")),
    ] {
        let (ours, theirs) = chopped_pair(4, 1000);
        let dialer = Once::new(ours);
        let (request, attempt) = (HttpRequest::get(url).unwrap(), Attempt::within(Duration::from_secs(60)));
        let server = async {
            if let Ok(peer) = acceptor.accept(theirs).await {
                serve(peer, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true).await;
            }
        };
        let (response, ()) = tokio::join!(send(&dialer, tls, &request, &attempt, ResponseLimits::default()), server);
        match code {
            None => assert_eq!(response.unwrap().bytes().await.unwrap(), "ok"),
            Some(code) => {
                let error = response.err().unwrap();
                assert_eq!((error.stage, error.code()), (Stage::Exchange, code));
            }
        }
        assert_eq!(dialer.asked.lock().as_ref().unwrap().port(), 443);
    }
}

/// One exchange over TLS with a server that says `answer` and ends the connection with or without `close_notify`.
async fn ask_secured(
    tls: &TlsClients,
    acceptor: &TlsAcceptor,
    answer: &[u8],
    notifies: bool,
) -> (Result<Vec<u8>, DialError>, Option<HandshakeKind>) {
    let (ours, theirs) = chopped_pair(4, 1000);
    let dialer = Once::new(ours);
    let (request, attempt) =
        (HttpRequest::get("https://demo.hezar/").unwrap(), Attempt::within(Duration::from_secs(60)));
    let client = async {
        let response = send(&dialer, tls, &request, &attempt, ResponseLimits::default()).await?;
        assert!(response.end_is_certain());
        Ok(response.bytes().await?.to_vec())
    };
    let server = async {
        let mut peer = acceptor.accept(theirs).await.ok()?;
        serve(&mut peer, answer, true).await;
        if notifies {
            let _ = peer.shutdown().await;
        }
        peer.get_ref().1.handshake_kind()
    };
    tokio::join!(client, server)
}

#[tokio::test]
async fn a_body_that_is_cut_is_an_error() {
    let authority = Authority::new();
    let tls = TlsClients::new(std::slice::from_ref(&authority.root));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let acceptor = authority.server_of(&["demo.hezar"], &["http/1.1"], provider, &[version]).0;
        for (answer, notifies, whole) in [
            ("HTTP/1.0 200 OK\r\n\r\nlist", true, true),
            ("HTTP/1.0 200 OK\r\n\r\nlist", false, false),
            ("HTTP/1.1 200 OK\r\nETag: \"a\"\r\n\r\nlist", false, false),
            ("HTTP/1.1 200 OK\r\n\r\n", false, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist", false, true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlist", false, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlist", true, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlist\r\n0\r\n\r\n", false, true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlist\r\n", false, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlist\r\n", true, false),
        ] {
            let (result, _) = ask_secured(&tls, &acceptor, answer.as_bytes(), notifies).await;
            match result {
                Ok(body) => assert!(whole && body == b"list", "{answer:?} {notifies}"),
                Err(error) => assert!(!whole && error.code() == "closed", "{answer:?} {notifies}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn where_a_body_ends_may_be_uncertain() {
    for (answer, certain) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\nab", false),
        ("HTTP/1.0 200 OK\r\n\r\nab", false),
    ] {
        let (ours, theirs) = chopped_pair(4, 100);
        let (dialer, tls) = (Once::new(ours), TlsClients::new(&[]));
        let (request, attempt) = (HttpRequest::get("http://a.b/").unwrap(), Attempt::within(Duration::from_secs(60)));
        let client = send(&dialer, &tls, &request, &attempt, ResponseLimits::default());
        let (response, _) = tokio::join!(client, serve(theirs, answer.as_bytes(), true));
        assert_eq!(response.unwrap().end_is_certain(), certain, "{answer:?}");
    }
}

#[tokio::test]
async fn nothing_is_resumed_with_a_target() {
    let authority = Authority::new();
    let tls = TlsClients::new(std::slice::from_ref(&authority.root));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let acceptor = authority.server_of(&["demo.hezar"], &["http/1.1"], provider, &[version]).0;
        for _ in 0..3 {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let (result, kind) = ask_secured(&tls, &acceptor, answer, true).await;
            assert_eq!((result.unwrap(), kind), (b"ok".to_vec(), Some(HandshakeKind::Full)));
        }
    }
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection() {
    let (ours, mut theirs) = chopped_pair(4, 100);
    let (dialer, tls) = (Once::new(ours), TlsClients::new(&[]));
    let (request, attempt) = (HttpRequest::get("http://a.b/").unwrap(), Attempt::within(Duration::from_secs(60)));
    let client = async {
        let mut response: HttpResponse =
            send(&dialer, &tls, &request, &attempt, ResponseLimits::default()).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "ab");
        assert_eq!(response.received(), 2);
    };
    let server = async {
        theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab").await.unwrap();
        let mut request = Vec::new();
        let _ = theirs.read_to_end(&mut request).await;
    };
    tokio::join!(client, server);
}

#[test]
fn what_cannot_be_asked_for() {
    assert!(matches!(HttpRequest::get("nothing"), Err(RequestError::Url(_))));
    assert_eq!(HttpRequest::get("ftp://a.b/").unwrap_err(), RequestError::Scheme);
    assert_eq!(HttpRequest::get("http://a.b:0/").unwrap_err(), RequestError::Host);
    let request = HttpRequest::get("https://[2001:db8::1]").unwrap();
    assert_eq!(request.target().to_string(), "[2001:db8::1]:443");
    assert_eq!(request.with_header("a", "b\r\nc: d").unwrap_err(), RequestError::Header);
}
