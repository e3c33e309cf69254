//! Request heads, the ends of their bodies, places, headers that end here, answers.

use http::{Extensions, HeaderMap};
use hyper::ext::ReasonPhrase;
use proptest::prelude::*;

use super::{
    answer,
    body_end::BodyEnd,
    destination::{self, Destination},
    headers,
    request_head::RequestHead,
};
use crate::Refusal;

fn read(head: &[u8]) -> Result<RequestHead, Refusal> {
    RequestHead::read(head)
}

/// The head that hyper is given for these header lines behind a request line.
fn strict(line: &str, lines: &str) -> String {
    String::from_utf8(read(format!("{line}\r\n{lines}\r\n").as_bytes()).unwrap().bytes).unwrap()
}

#[test]
fn heads_that_are_not_http1() {
    assert!(matches!(read(b"PRI * HTTP/2.0\r\n\r\n"), Err(Refusal::Http2)));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1001));
    assert!(matches!(read(many.as_bytes()), Err(Refusal::HeaderTooLarge)));
    let long = format!("GET / HTTP/1.1\r\n{}: b\r\n\r\n", "a".repeat(70_000));
    assert!(matches!(read(long.as_bytes()), Err(Refusal::HeaderTooLarge)));
    let enough = format!("GET http://a/ HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(900));
    assert!(read(enough.as_bytes()).unwrap().route.destination.is_ok());
    assert!(matches!(read(b"GET / HTTP/1.1\r\n\r\n").unwrap().route.destination, Err(Refusal::NotProxied)));
}

/// What smuggles requests past one reader or the other. Nothing of it may ever be served.
#[test]
fn heads_that_two_readers_could_read_in_two_ways() {
    let lines: [&[u8]; 19] = [
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5, 5",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 0x5",
        b"Content-Length: 5 5",
        b"Content-Length:",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 18446744073709551615",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding : chunked",
        b"Content-Length : 5",
        b"\x0bTransfer-Encoding: chunked",
    ];
    let others: [&[u8]; 13] = [
        b"A: b\r\n folded",
        b"A: b\r\n\tfolded",
        b" A: b",
        b"A : b",
        b"A: \0",
        b"A: b\rB: c",
        b"A\0: b",
        b"A B: c",
        b": b",
        b"no colon",
        b"A\r: b",
        b"A: \x1b[31m",
        b"A: b\x7f",
    ];
    for line in lines.iter().chain(&others) {
        let head = [b"POST http://a/ HTTP/1.1\r\n", *line, b"\r\n\r\n"].concat();
        assert!(matches!(read(&head), Err(Refusal::BadRequest(_))), "{}", String::from_utf8_lossy(&head));
    }
    assert!(read(b"POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn request_lines_that_are_none() {
    let lines: [&[u8]; 22] = [
        b"GET http://a/",
        b"GET",
        b"hello world",
        b"GET http://a/ HTTP/1.2",
        b"GET http://a/ HTTP/2.0",
        b"GET http://a/ HTTP/1.1 ",
        b"GET http://a/ HTTP/1.1 x HTTP/1.1",
        b"GET http://a/ http/1.1",
        b"GET  http://a/ HTTP/1.1",
        b"GET http://a/\tx HTTP/1.1",
        b"GET\thttp://a/ HTTP/1.1",
        b"GET http://a\r/ HTTP/1.1",
        b"GET http://a/\0 HTTP/1.1",
        b"G(T http://a/ HTTP/1.1",
        b"\xc3\xa9 http://a/ HTTP/1.1",
        b" GET http://a/ HTTP/1.1",
        b"GET  HTTP/1.1",
        b"GET http://a/ HTTP/1.10",
        b"GET http://a/ HTTP/1",
        b"GET http://a/ HTTP /1.1",
        b"GETGETGETGETGETGETGETGETGETGETGETGET http://a/ HTTP/1.1",
        b"GET http://a/ HTTP/1.1 HTTP/1.1",
    ];
    for line in lines {
        let head = [line, b"\r\n\r\n"].concat();
        assert!(matches!(read(&head), Err(Refusal::BadRequest(_))), "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn one_reading_of_a_head_goes_on() {
    assert_eq!(strict("GET http://a/ HTTP/1.1", "A:b\r\nE:\r\n"), "GET / HTTP/1.1\r\nA: b\r\nE: \r\n\r\n");
    assert_eq!(
        strict("POST http://a/ HTTP/1.1", "Content-Length: 3\r\nTransfer-Encoding: Chunked\r\n"),
        "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
    );
    let connect = "Content-Length: 3\r\nTransfer-Encoding: x\r\nExpect: 100-continue\r\nA: b\r\n";
    assert_eq!(strict("CONNECT a:1 HTTP/1.1", connect), "CONNECT / HTTP/1.1\r\nA: b\r\n\r\n");
    assert_eq!(strict("GET http://a/ HTTP/1.0", "Upgrade: x\r\nExpect: 100-continue\r\n"), "GET / HTTP/1.0\r\n\r\n");
    let bare = read(b"GET http://a/ HTTP/1.1\nA: b\n\n").unwrap();
    assert_eq!(bare.bytes, b"GET / HTTP/1.1\r\nA: b\r\n\r\n");
    for (line, lines, leaves) in [
        ("CONNECT a:1 HTTP/1.1", "", true),
        ("GET http://a/ HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", true),
        ("GET http://a/ HTTP/1.1", "Upgrade: websocket\r\n", false),
        ("GET http://a/ HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
    ] {
        let head = read(format!("{line}\r\n{lines}\r\n").as_bytes()).unwrap();
        assert_eq!(head.route.leaves_http, leaves, "{line} {lines}");
    }
}

#[test]
fn places_of_absolute_requests() {
    for (uri, target, host, path) in [
        (&b"http://example.com"[..], "example.com:80", "example.com", "/"),
        (b"HTTP://Example.com:8080/a?b=c", "example.com:8080", "Example.com:8080", "/a?b=c"),
        (b"http://user:p@w@example.com/x", "example.com:80", "example.com", "/x"),
        (b"http://[::1]:81/", "[::1]:81", "[::1]:81", "/"),
        (b"http://[2001:db8::1]?q", "[2001:db8::1]:80", "[2001:db8::1]", "/?q"),
        (b"ws://example.com/s", "example.com:80", "example.com", "/s"),
        (b"http://example.com:?q#fragment", "example.com:80", "example.com:", "/?q"),
        (b"http://b.test#@x/", "b.test:80", "b.test", "/"),
        (b"http://a/x#y?z", "a:80", "a", "/x"),
        // Sent as curl, Go and browsers send it, where a URI can hold it.
        (b"http://a/?q=[1]|{}'`^~", "a:80", "a", "/?q=[1]|{}'`^~"),
        (b"http://a/{x}/\"y\"", "a:80", "a", "/{x}/\"y\""),
        // Percent-encoded, where it cannot.
        (b"http://a/?q=\"a\"<b>", "a:80", "a", "/?q=%22a%22%3Cb%3E"),
        (b"http://a/b c?d e", "a:80", "a", "/b%20c?d%20e"),
        (b"http://a/\\%5c\xff%zz", "a:80", "a", "/%5C%5c%FF%zz"),
        ("http://bücher.example/ü".as_bytes(), "xn--bcher-kva.example:80", "xn--bcher-kva.example:80", "/ü"),
    ] {
        let shown = String::from_utf8_lossy(uri);
        let found = destination::forward_target(uri).unwrap_or_else(|refusal| panic!("{shown}: {refusal}"));
        assert_eq!((found.target.to_string().as_str(), found.host.to_str().unwrap()), (target, host), "{shown}");
        assert_eq!(found.path.to_string(), path, "{shown}");
    }
}

#[test]
fn places_that_are_none() {
    for uri in [
        &b"https://example.com/"[..],
        b"ftp://example.com/",
        b"http://exa!mple.com/",
        b"http://a:0/",
        b"http://a:99999/",
        b"http://a:+80/",
        b"http://a:8a/",
        b"http:///x",
        b"http://:80/",
        b"http://a b/",
        b"http://a\\@b/",
        b"http://a%2eb/",
        b"http://\xff/",
        b"http://::1/",
        b"http://[::1/",
        b"http://[::1]x/",
        b"http://[fe80::1%25eth0]/",
        b"example.com:80",
        b"example.com/x",
        b"http:/example.com/",
        b"://a/",
    ] {
        let found = destination::forward_target(uri).map(|place| place.target);
        let code = found.as_ref().map_err(Refusal::code);
        assert_eq!(code, Err("bad-request"), "{}", String::from_utf8_lossy(uri));
    }
    for uri in [&b"/index.html"[..], b"*", b"//a/b"] {
        assert_eq!(destination::forward_target(uri).unwrap_err().code(), "not-a-proxy-request");
    }
}

#[test]
fn targets_of_connect() {
    for (text, wanted) in [
        ("example.com:443", "example.com:443"),
        ("EXAMPLE.com.:443", "example.com:443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("2001:db8::1:443", "[2001:db8::1]:443"),
        ("::1:80", "[::1]:80"),
        ("bücher.example:443", "xn--bcher-kva.example:443"),
    ] {
        assert_eq!(destination::connect_target(text.as_bytes()).unwrap().to_string(), wanted);
    }
    for text in [
        "example.com",
        "example.com:",
        ":443",
        "example.com:0",
        "a b:1",
        "u@a:1",
        "2001:db8::443",
        "http://a/",
        "a:1/x",
        "a:+1",
    ] {
        assert!(destination::connect_target(text.as_bytes()).is_err(), "{text}");
    }
    assert!(destination::connect_target(b"\xff:1").is_err());
    let head = read(b"CONNECT a:1 HTTP/1.1\r\nContent-Length: 9\r\n\r\n").unwrap();
    assert!(matches!(head.route.destination, Ok(Destination::Tunnel(_))) && head.body.is_over());
}

/// How many bytes belong to the body, in pieces of `size`.
fn length_of(mut end: BodyEnd, bytes: &[u8], size: usize) -> Result<Option<usize>, &'static str> {
    let mut whole = 0;
    for piece in bytes.chunks(size) {
        if end.is_over() {
            break;
        }
        whole += end.take(piece)?;
    }
    Ok(end.is_over().then_some(whole))
}

#[test]
fn the_end_of_a_body() {
    for (end, bytes, wanted) in [
        (BodyEnd::none(), &b"GET"[..], Some(0)),
        (BodyEnd::length(5), b"bodyGET", Some(5)),
        (BodyEnd::length(9), b"body", None),
        (BodyEnd::chunked(), b"0\r\n\r\nGET", Some(5)),
        (BodyEnd::chunked(), b"4\r\nbody\r\n00;x=\"y\"\r\nA: b\r\nC: d\r\n\r\nGET", Some(33)),
        (BodyEnd::chunked(), b"A \r\n0\r\n\r\n0\r\n0x\r\n0\r\n\r\nGET", Some(21)),
        (BodyEnd::chunked(), b"00000000000000000004\r\nbody\r\n0000\r\n\r\nGET", Some(36)),
        (BodyEnd::chunked(), b"4\r\nbody\r\n", None),
    ] {
        for size in 1..=bytes.len() {
            assert_eq!(length_of(end.clone(), bytes, size), Ok(wanted), "{} by {size}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn chunks_that_are_none() {
    let long = format!("1;{}", "x".repeat(20_000));
    let trailers = format!("0\r\n{}", "a: b\r\n".repeat(10_000));
    for bytes in [
        "zz\r\n",
        "\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1\nx",
        "1\r\rx",
        "4\r\nbodyX",
        "4\r\nbody\n",
        "1000000000000000\r\n",
        "0\r\n a: folded\r\n",
        "0\r\na: b\n",
        "1;\nx",
        long.as_str(),
        trailers.as_str(),
    ] {
        assert!(length_of(BodyEnd::chunked(), bytes.as_bytes(), 3).is_err(), "{bytes:.20}");
    }
}

#[test]
fn headers_that_end_here() {
    let mut map = HeaderMap::new();
    let many: Vec<String> = (0..60).map(|n| format!("x-hop-{n}")).collect();
    for (name, value) in [
        ("connection", "close, X-Secret"),
        ("connection", &many.join(", ")),
        ("x-secret", "1"),
        ("x-hop-59", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("proxy-status", "hezar; error=none"),
        ("proxy-authenticate", "Basic"),
        ("proxy-anything", "x"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("accept", "*/*"),
        ("x-forwarded-for", "from the client itself"),
    ] {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    assert!(headers::upgrade(&map).is_none());
    headers::strip(&mut map);
    let left: Vec<&str> = map.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["accept", "x-forwarded-for"]);
    map.append("connection", "keep-alive, Upgrade".parse().unwrap());
    map.append("upgrade", "websocket".parse().unwrap());
    assert_eq!(headers::upgrade(&map).unwrap(), "websocket");
}

#[test]
fn nobody_else_speaks_in_our_name() {
    for (reason, stays) in [("Fine", true), ("Service Unavailable (hezar: pool-empty)", false), ("HEZAR", false)] {
        let mut extensions = Extensions::new();
        extensions.insert(ReasonPhrase::try_from(reason.to_owned()).unwrap());
        extensions.insert(5_u8);
        headers::foreign_extensions(&mut extensions);
        assert_eq!(extensions.get::<ReasonPhrase>().is_some(), stays, "{reason}");
        assert!(extensions.get::<u8>().is_none());
    }
}

#[test]
fn answers_carry_the_code() {
    let text = String::from_utf8(answer::bytes(&Refusal::PoolEmpty { why: None })).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable (hezar: pool-empty)\r\n"));
    assert!(text.contains("proxy-status: hezar; error=destination_unavailable; details=\"pool-empty\"\r\n"));
    assert!(text.ends_with("\ncode: pool-empty\n"));
    let text = answer::bytes(&Refusal::PoolEmpty { why: Some("all 7 nodes are dead".into()) });
    assert!(String::from_utf8(text).unwrap().contains("nothing is ever sent directly: all 7 nodes are dead\n"));
    for refusal in [Refusal::AuthMissing, Refusal::AuthWrong] {
        let response = answer::response(&refusal);
        assert_eq!((response.status().as_u16(), &response.headers()["connection"]), (407, &"close".parse().unwrap()));
        assert!(response.headers().contains_key("proxy-authenticate"));
        let reason = response.extensions().get::<ReasonPhrase>().unwrap().as_bytes();
        assert!(reason.ends_with(format!("(hezar: {})", refusal.code()).as_bytes()));
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let _ = destination::forward_target(&bytes);
        let _ = destination::connect_target(&bytes);
    }

    /// Whatever is read of a head, hyper's parser reads the same head without an error.
    #[test]
    fn what_goes_on_is_strict(tail in "[aA: \t\r\nContentLghTrasfEcdiukx0-9,;-]{0,80}") {
        let head = format!("POST http://a/ HTTP/1.1\r\n{tail}\r\n\r\n");
        if let Ok(head) = read(head.as_bytes()) {
            let mut lines = [httparse::EMPTY_HEADER; 100];
            let mut request = httparse::Request::new(&mut lines);
            prop_assert!(request.parse(&head.bytes).is_ok_and(|read| read.unwrap() == head.bytes.len()));
        }
    }

    #[test]
    fn uris_never_panic(text in "(http|https|ws|)(://)?[a-z@:\\[\\]0-9./?#% \"<é]{0,40}") {
        if let Ok(place) = destination::forward_target(text.as_bytes()) {
            prop_assert!(place.path.to_string().starts_with('/'));
        }
        let _ = destination::connect_target(text.as_bytes());
    }

    /// Any cut of the bytes gives the same end.
    #[test]
    fn bodies_end_the_same_however_they_are_cut(bytes in "[0-3a;\r\n ]{0,40}", size in 1_usize..8) {
        let at_once = length_of(BodyEnd::chunked(), bytes.as_bytes(), 1000);
        prop_assert_eq!(length_of(BodyEnd::chunked(), bytes.as_bytes(), size), at_once);
    }
}

#[test]
fn only_a_target_without_path_and_query_speaks_of_the_server() {
    for (uri, is_pathless) in
        [(&b"http://a"[..], true), (b"http://a:81#top", true), (b"http://a/", false), (b"http://a?", false)]
    {
        assert_eq!(destination::forward_target(uri).unwrap().is_pathless, is_pathless);
    }
}

#[test]
fn a_client_at_its_limit_is_told_when_to_try_again() {
    for refusal in [Refusal::UserLimit, Refusal::ClientLimit, Refusal::LoginLimit] {
        let response = answer::response(&refusal);
        assert_eq!(response.status().as_u16(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
    }
    assert!(!answer::response(&Refusal::NoMatch).headers().contains_key("retry-after"));
}
