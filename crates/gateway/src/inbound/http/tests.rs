//! Heads in any pieces, places, headers that end here, answers.

use http::{HeaderMap, Uri};
use proptest::prelude::*;

use super::{answer, head, headers, place};
use crate::Refusal;

#[test]
fn the_end_of_a_head() {
    for (bytes, wanted) in [
        (&b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest"[..], Some(24)),
        (b"GET / HTTP/1.1\n\nrest", Some(16)),
        (b"GET / HTTP/1.1\r\n\nrest", Some(17)),
        (b"GET / HTTP/1.1\r\nA: b\r\n", None),
        (b"GET / HTTP/1.1\r\nA: b\r\n\r", None),
        (b"", None),
    ] {
        assert_eq!(head::end(bytes, 0), wanted);
        // Any point of resumption gives the same.
        for seen in 0..wanted.unwrap_or(bytes.len()) {
            assert_eq!(head::end(bytes, seen), wanted, "resumed after {seen}");
        }
    }
}

#[test]
fn heads_that_are_not_http1() {
    assert!(head::check(b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
    assert!(matches!(head::check(b"PRI * HTTP/2.0\r\n\r\n"), Err(Refusal::Http2)));
    assert!(matches!(head::check(b"hello world\r\n\r\n"), Err(Refusal::BadRequest(_))));
    assert!(matches!(head::check(b"GET / HTTP/1.1\r\nbad header\r\n\r\n"), Err(Refusal::BadRequest(_))));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert!(matches!(head::check(many.as_bytes()), Err(Refusal::HeaderTooLarge)));
}

#[test]
fn places_of_absolute_requests() {
    for (uri, target, host, path) in [
        ("http://example.com", "example.com:80", "example.com", "/"),
        ("http://Example.com:8080/a?b=c", "example.com:8080", "Example.com:8080", "/a?b=c"),
        ("http://user:pw@example.com/x", "example.com:80", "example.com", "/x"),
        ("http://[::1]:81/", "[::1]:81", "[::1]:81", "/"),
        ("ws://example.com/s", "example.com:80", "example.com", "/s"),
    ] {
        let found = place::of_absolute(&uri.parse::<Uri>().unwrap()).unwrap();
        assert_eq!((found.target.to_string().as_str(), found.host.to_str().unwrap()), (target, host));
        assert_eq!(found.path.to_string(), path);
    }
    for uri in ["https://example.com/", "ftp://example.com/", "http://exa!mple.com/", "http://a:0/", "http://a:99999/"]
    {
        let Ok(uri) = uri.parse::<Uri>() else { continue };
        assert_eq!(place::of_absolute(&uri).unwrap_err().code(), "bad-request", "{uri}");
    }
    assert_eq!(place::of_absolute(&"/index.html".parse().unwrap()).unwrap_err().code(), "not-a-proxy-request");
}

#[test]
fn targets_of_connect() {
    assert_eq!(place::of_connect(&"example.com:443".parse().unwrap()).unwrap().to_string(), "example.com:443");
    assert!(place::of_connect(&"example.com".parse().unwrap()).is_err());
}

#[test]
fn headers_that_end_here() {
    let mut map = HeaderMap::new();
    for (name, value) in [
        ("connection", "close, X-Secret"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("proxy-anything", "x"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("accept", "*/*"),
        ("x-forwarded-for", "from the client itself"),
    ] {
        map.append(name, value.parse().unwrap());
    }
    assert!(headers::upgrade(&map).is_none());
    headers::strip(&mut map, true);
    let left: Vec<&str> = map.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["accept", "x-forwarded-for"]);
    map.append("connection", "keep-alive, Upgrade".parse().unwrap());
    map.append("upgrade", "websocket".parse().unwrap());
    assert_eq!(headers::upgrade(&map).unwrap(), "websocket");
}

#[test]
fn answers_carry_the_code() {
    let text = String::from_utf8(answer::bytes(&Refusal::PoolEmpty)).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    assert!(text.contains("proxy-status: hezar; error=destination_unavailable; details=\"pool-empty\"\r\n"));
    assert!(text.ends_with("\r\ncode: pool-empty\n") || text.ends_with("\ncode: pool-empty\n"));
    let response = answer::response(&Refusal::AuthMissing);
    assert_eq!(response.status(), 407);
    assert!(response.headers().contains_key("proxy-authenticate"));
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), seen in 0..500_usize) {
        let _ = head::end(&bytes, seen);
        let _ = head::check(&bytes);
    }

    #[test]
    fn uris_never_panic(text in "(http|https|ws|)(://)?[a-z@:\\[\\]0-9./?#%]{0,40}") {
        if let Ok(uri) = text.parse::<Uri>() {
            let _ = place::of_absolute(&uri);
            let _ = place::of_connect(&uri);
        }
    }
}
