//! Tests of the HTTP disguise: golden bytes, cut streams, refusals.

use std::collections::HashSet;

use hezar_core::{Host, HttpHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::HttpHeaderClient;
use crate::{Cause, testing::chopped_pair, transport::http1::USER_AGENT};

fn client(paths: &[&str], hosts: &[&str]) -> HttpHeaderClient {
    let boxed = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect();
    let settings = HttpHeader { hosts: boxed(hosts), paths: boxed(paths) };
    HttpHeaderClient::new(&settings, &Host::new("203.0.113.9").unwrap())
}

#[test]
fn the_request() {
    let expected = format!(
        "GET / HTTP/1.1\r\nHost: 203.0.113.9\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: gzip, deflate\r\n\
         Connection: keep-alive\r\nPragma: no-cache\r\n\r\n"
    );
    assert_eq!(client(&[], &[]).request(), expected);
    let several = client(&["/a", "b c"], &["one.example", "x\r\ny"]);
    let lines = |request: String| request.split("\r\nUser").next().unwrap().to_owned();
    let seen: HashSet<_> = (0..200).map(|_| lines(several.request())).collect();
    assert_eq!(seen.len(), 4);
    assert!(seen.contains("GET /b%20c HTTP/1.1\r\nHost: 203.0.113.9"));
}

#[tokio::test]
async fn heads_come_off_both_ways() {
    for (seed, most) in [(1, 1), (2, 9), (3, 4096)] {
        let (ours, mut peer) = chopped_pair(seed, most);
        let mut stream = client(&["/x"], &["a.example"]).open(ours);
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        assert!(sent.starts_with(b"GET /x HTTP/1.1\r\nHost: a.example\r\n"));
        assert!(sent.ends_with(b"\r\n\r\nquestion"));
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: video/mpeg\r\n\r\nan answer";
        peer.write_all(answer).await.unwrap();
        drop(peer);
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"an answer");
    }
}

#[tokio::test]
async fn what_is_no_disguise_is_refused() {
    let cases: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", "transport-status"),
        (b"\x00\x00payload", "protocol"),
        (b"HTTP/1.1 200 OK\r\nA: b", "closed"),
        (b"", "closed"),
    ];
    for (answer, code) in cases {
        let (ours, mut peer) = chopped_pair(1, 99);
        let mut stream = client(&[], &[]).open(ours);
        stream.write_all(b"question").await.unwrap();
        peer.write_all(answer).await.unwrap();
        peer.shutdown().await.unwrap();
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(Cause::from(error).code(), code);
    }
}
