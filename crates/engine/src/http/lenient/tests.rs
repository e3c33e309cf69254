//! Heads of the wild and what becomes of them; heads that stay refused.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{LenientAnswers, MAX_ANSWER_HEAD, head};
use crate::{Cause, testing::chopped_pair};

fn read(bytes: &[u8]) -> Result<String, &'static str> {
    match head::read(bytes, 0, MAX_ANSWER_HEAD) {
        Ok(Some((head, length))) => {
            assert!(length <= bytes.len());
            Ok(String::from_utf8_lossy(&head.bytes).into_owned())
        }
        Ok(None) => Err("more"),
        Err(Cause::BadAnswer(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_browsers_take_is_written_strictly() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for (answer, wanted) in [
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        // Folded, with spaces and with tabs; also where it tells the framing.
        ("HTTP/1.1 200 OK\r\nLong: a\r\n b\r\n\t c\r\nD: e\r\n\r\n", "HTTP/1.1 200 OK\r\nLong: a b c\r\nD: e\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        // Space before the colon.
        (
            "HTTP/1.1 200 OK\r\nOdd \t: v\r\ncontent-length : 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nOdd: v\r\nContent-Length: 2\r\n\r\n",
        ),
        // Names that are none, lines without a colon, and what is folded onto them.
        (
            "HTTP/1.1 200 OK\r\nX Odd Name: v\r\n: w\r\nNone?@: x\r\nno colon\r\n folded\r\nA:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: \r\n\r\n",
        ),
        (" HTTP/1.1 200 OK\r\n\r\n", "?"),
        ("HTTP/1.1 200 OK\r\nA:\r\n \r\nB: x\r\n\t\r\n y\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \r\nB: x y\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\n first line is folded\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        // Bare LF, no reason, no space, another version, lower case.
        ("HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        ("HTTP/1.1 204\r\n\r\n", "HTTP/1.1 204 \r\n\r\n"),
        ("HTTP/1.1 204 \r\n\r\n", "HTTP/1.1 204 \r\n\r\n"),
        ("HTTP/1.1  200  Fine\r\n\r\n", "HTTP/1.1 200 Fine\r\n\r\n"),
        ("http/1.1 200 OK\r\n\r\n", ok),
        ("HTTP/1.2 200 OK\r\n\r\n", ok),
        ("HTTP/1.0 999 Denied\r\n\r\n", "HTTP/1.0 999 Denied\r\n\r\n"),
        ("ICY 200 OK\r\nicy-name: r\r\n\r\n", "HTTP/1.0 200 OK\r\nicy-name: r\r\n\r\n"),
        // Lengths and codings that are said twice, or not at all.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        ),
        // A control character in a value: the line is left out.
        ("HTTP/1.1 200 OK\r\nA: \x1b[31m\r\nB: c\r\n\r\n", "HTTP/1.1 200 OK\r\nB: c\r\n\r\n"),
    ] {
        let found = read(answer.as_bytes());
        match wanted {
            "?" => assert!(found.is_err(), "{answer:?}"),
            wanted => {
                assert!(found.as_ref().is_ok_and(|found| found.starts_with(wanted)), "{answer:?} became {found:?}")
            }
        }
    }
    let (head, _) = head::read(b"HTTP/1.1 200 OK\r\nX: caf\xe9\r\n\r\n", 0, 100).unwrap().unwrap();
    assert!(head.bytes.windows(4).any(|part| part == b"caf\xe9"));
}

#[test]
fn many_and_big_headers() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-H: v\r\n".repeat(900));
    assert_eq!(read(many.as_bytes()).unwrap().lines().count(), 902);
    let big = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(120_000));
    assert!(read(big.as_bytes()).is_ok());
    let too_many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: v\r\n".repeat(1001));
    assert_eq!(read(too_many.as_bytes()), Err("its head has too many lines"));
    let too_big = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(MAX_ANSWER_HEAD));
    assert_eq!(read(too_big.as_bytes()), Err("its head is too long"));
}

#[test]
fn what_stays_refused() {
    for answer in [
        "SSH-2.0-x\r\n\r\n",
        "<html>old</html>",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1200 OK\r\n\r\n",
        "HTTP/1.1 200 \x1b[31m\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n",
        "HTTP/1.1 200 OK\rA: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\x0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\x0b\r\nContent-Length: 2\r\n\r\n",
    ] {
        assert!(
            read(answer.as_bytes()).is_err_and(|why| why != "more"),
            "{answer:?} became {:?}",
            read(answer.as_bytes())
        );
    }
}

#[tokio::test]
async fn interim_answers_are_dropped_and_the_body_passes_as_it_is() {
    for chop in [1, 2, 7, 1000] {
        let (ours, mut theirs) = chopped_pair(chop, usize::try_from(chop).unwrap());
        let continued = Arc::new(AtomicU32::new(0));
        let counter = continued.clone();
        let mut stream = LenientAnswers::new(ours, 1000).with_continue(move || {
            counter.fetch_add(1, SeqCst);
        });
        let answer = b"\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100\n\nHTTP/1.1 200 OK\r\nA : b\r\n\r\nbody\r\n\r\nHTTP/1.1 200 OK\n\n";
        let server = async {
            theirs.write_all(answer).await.unwrap();
            theirs.shutdown().await.unwrap();
        };
        let mut all = String::new();
        let ((), read) = tokio::join!(server, stream.read_to_string(&mut all));
        read.unwrap();
        assert_eq!(all, "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\r\n\r\nHTTP/1.1 200 OK\n\n");
        assert_eq!(continued.load(SeqCst), 1);
    }
}

#[tokio::test]
async fn chunks_are_written_again() {
    for chop in [1, 2, 7, 1000] {
        let (ours, mut theirs) = chopped_pair(chop, usize::try_from(chop).unwrap());
        let mut stream = LenientAnswers::new(ours, 1000);
        let server = async {
            theirs
                .write_all(b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n04 ;x\nbody\n0\nX: y\n\nmore")
                .await
                .unwrap();
            theirs.shutdown().await.unwrap();
        };
        let mut all = String::new();
        let ((), read) = tokio::join!(server, stream.read_to_string(&mut all));
        read.unwrap();
        assert_eq!(all, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    }
    // After a switch of protocols, and without a body, there are no chunks.
    for status in [101, 204, 304] {
        let bytes = format!("HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(!head::read(bytes.as_bytes(), 0, 1000).unwrap().unwrap().0.is_chunked);
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_refused() {
    let (ours, mut theirs) = chopped_pair(1000, 1000);
    let mut stream = LenientAnswers::new(ours, 1000);
    let server = async move { while theirs.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {} };
    let client = async move {
        let error = stream.read_u8().await.unwrap_err();
        assert!(matches!(Cause::from(error), Cause::BadAnswer(_)));
    };
    tokio::join!(client, server);
}

proptest! {
    #[test]
    fn garbage_never_panics_and_what_is_written_is_read_again(
        tail in prop::collection::vec(prop::sample::select(b"aA:; \t\r\n\0,2-chunkedTransfer-Encoding:Content-Length:".to_vec()), 0..200)
    ) {
        let bytes = [b"HTTP/1.1 200 OK\r\n".as_slice(), &tail, b"\r\n\r\n"].concat();
        if let Ok(Some((head, _))) = head::read(&bytes, 0, 1000) {
            let again = head::read(&head.bytes, 0, 2000).unwrap().unwrap();
            prop_assert_eq!(&again.0.bytes, &head.bytes);
            prop_assert_eq!(again.1, head.bytes.len());
            let mut lines = [httparse::EMPTY_HEADER; 300];
            prop_assert!(httparse::Response::new(&mut lines).parse(&head.bytes).is_ok_and(|read| read.is_complete()));
        }
    }
}
