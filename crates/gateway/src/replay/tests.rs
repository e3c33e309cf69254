//! What may be said twice, in any pieces; what an answer looks like; nothing panics.

use bytes::BytesMut;
use proptest::prelude::*;

use super::{
    AnswerState, Expectation, FlightKind, MAX_REPLAY, ReplayBuffer,
    samples::{GET, OK, POST, SERVER_HELLO, hello, openssl, records},
};

/// Every beginning is a beginning, and the whole is what it is.
fn whole(bytes: &[u8], wanted: FlightKind) {
    for length in 0..bytes.len() {
        assert_eq!(FlightKind::classify(&bytes[..length]), FlightKind::Partial, "after {length} bytes");
    }
    assert_eq!(FlightKind::classify(bytes), wanted);
}

#[test]
fn a_client_hello_of_a_real_client() {
    whole(&openssl(), FlightKind::Hello { length: 182, early: false });
}

#[test]
fn a_client_hello_over_several_records() {
    let message = &hello(&[10], 600)[5..];
    for most in [1, 4, 100, 500] {
        let bytes = records(message, most);
        whole(&bytes, FlightKind::Hello { length: bytes.len(), early: false });
    }
}

#[test]
fn early_data_is_announced_and_follows() {
    let bytes = hello(&[10, 42], 0);
    let length = bytes.len();
    whole(&bytes, FlightKind::Hello { length, early: true });
    let with_data = [&bytes[..], b"\x14\x03\x03\x00\x01\x01\x17\x03\x03"].concat();
    assert_eq!(FlightKind::classify(&with_data), FlightKind::Hello { length, early: true });
    // Nobody said that anything would follow.
    assert_eq!(FlightKind::classify(&[&hello(&[10], 0)[..], b"x"].concat()), FlightKind::Other);
}

#[test]
fn the_largest_client_hello_and_one_beyond() {
    let fits = hello(&[], 16_000);
    assert!(fits.len() < MAX_REPLAY);
    assert_eq!(FlightKind::classify(&fits), FlightKind::Hello { length: fits.len(), early: false });
    let message = [&[1, 0, 255, 255][..], &vec![0; 60_000]].concat();
    assert_eq!(FlightKind::classify(&records(&message, 1 << 14)), FlightKind::Other);
    assert_eq!(FlightKind::classify(&[b"GET /", &vec![b'a'; MAX_REPLAY][..]].concat()), FlightKind::Other);
}

#[test]
fn almost_client_hellos() {
    let good = openssl();
    for (place, byte) in [(0, 0x17), (1, 2), (2, 9), (5, 2), (8, 0xae), (43, 33), (45, 0x1f), (76, 0), (79, 0)] {
        let mut bad = good.clone();
        bad[place] = byte;
        assert_ne!(FlightKind::classify(&bad), FlightKind::classify(&good), "byte {place}");
        assert!(!matches!(FlightKind::classify(&bad), FlightKind::Hello { .. }), "byte {place}");
    }
    // A record of no length or of too much.
    assert_eq!(FlightKind::classify(&[22, 3, 1, 0, 0]), FlightKind::Other);
    assert_eq!(FlightKind::classify(&[22, 3, 1, 0x40, 1]), FlightKind::Other);
    // Two messages in one record.
    let two = [&hello(&[], 0)[5..], b"\x01"].concat();
    assert_eq!(FlightKind::classify(&records(&two, 1 << 14)), FlightKind::Other);
}

#[test]
fn requests_that_change_nothing() {
    whole(GET, FlightKind::Request { length: GET.len() });
    whole(b"HEAD /a?b HTTP/1.0\r\n\r\n", FlightKind::Request { length: 22 });
    whole(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", FlightKind::Request { length: 31 });
    let pipelined = [GET, POST].concat();
    assert_eq!(FlightKind::classify(&pipelined), FlightKind::Request { length: GET.len() });
}

#[test]
fn requests_that_may() {
    for bytes in [
        POST,
        b"P",
        b"PUT / HTTP/1.1\r\n\r\n",
        b"DELETE /",
        b"GETX / HTTP/1.1\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
        b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00",
    ] {
        assert_eq!(FlightKind::classify(bytes), FlightKind::Other, "{}", String::from_utf8_lossy(bytes));
    }
}

fn answered(expect: Expectation, bytes: &[u8], whole_at: usize) {
    for length in 0..whole_at {
        assert_eq!(expect.check(&bytes[..length]), AnswerState::Partial, "after {length} bytes");
    }
    assert_eq!(expect.check(&bytes[..whole_at]), AnswerState::Whole);
    assert_eq!(expect.check(bytes), AnswerState::Whole);
}

#[test]
fn answers() {
    answered(Expectation::Tls, SERVER_HELLO, SERVER_HELLO.len());
    answered(Expectation::Tls, b"\x15\x03\x01\x00\x02\x02\x28 and more", 7);
    answered(Expectation::Http { body: true }, OK, OK.len());
    answered(Expectation::Http { body: true }, b"HTTP/1.0 404 No\n\nbody", 17);
    answered(Expectation::Http { body: true }, b"ICY 200 OK\r\n\r\nmusic", 14);
    answered(Expectation::Any, b"\x00", 1);
    let endless = [b"HTTP/1.1 200 OK\r\nA: ", &vec![b'a'; 40_000][..]].concat();
    assert_eq!(Expectation::Http { body: true }.check(&endless), AnswerState::Whole, "what is held back is bounded");
}

#[test]
fn nonsense() {
    for bytes in [
        &b"\x14"[..],
        b"\x16\x02",
        b"\x16\x03\x05",
        b"\x16\x03\x03\x00\x03",
        b"\x16\x03\x03\xff\xff",
        b"\x16\x03\x03\x00\x06\x01",
        b"\x15\x03\x03\x00\x03",
        b"HTTP/1.1 400 Bad Request\r\n",
    ] {
        assert_eq!(Expectation::Tls.check(bytes), AnswerState::Wrong, "{bytes:?}");
    }
    for bytes in [&b"h"[..], b"HTTP/2", b"HTTX", SERVER_HELLO] {
        assert_eq!(Expectation::Http { body: true }.check(bytes), AnswerState::Wrong, "{bytes:?}");
    }
}

#[test]
fn a_flight_grows_until_it_is_too_much() {
    let mut held = ReplayBuffer::new(BytesMut::from(&b"ab"[..]), false, Expectation::Any);
    let view = held.follow();
    assert!(held.grow(b"cd") && held.repeatable());
    assert_eq!((&view.borrow().bytes[..], view.borrow().released), (&b"abcd"[..], false));
    held.end();
    assert!(view.borrow().ended);
    assert!(!held.grow(&vec![0; MAX_REPLAY]), "these bytes are not part of it");
    assert!(!held.repeatable() && view.borrow().released);
    assert!(!held.grow(b"e"), "nothing is held any more");
    assert_eq!(held.len(), 4);
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), front in 0..6_usize) {
        let fronts: [&[u8]; 6] = [b"", b"\x16\x03\x01\x00\x80\x01\x00\x00\x7c", b"GET ", b"HTTP/1.", b"\x16\x03\x03", b"\x15\x03"];
        let bytes = [fronts[front], &bytes].concat();
        let _ = FlightKind::classify(&bytes);
        for expect in [Expectation::Tls, Expectation::Http { body: true }, Expectation::Any] {
            let _ = expect.check(&bytes);
        }
    }

    #[test]
    fn a_changed_hello_is_never_partly_safe(place in 0..182_usize, byte in any::<u8>()) {
        let mut bytes = openssl();
        bytes[place] = byte;
        // Whatever was changed: what is called a hello is all of the bytes.
        if let FlightKind::Hello { length, early } = FlightKind::classify(&bytes) {
            prop_assert!(length == bytes.len() || early);
        }
    }
}

#[test]
fn a_small_body_belongs_to_the_answer() {
    let small = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
    answered(Expectation::Http { body: true }, small, small.len());
    // The answer to HEAD has the length of a body that does not come.
    answered(Expectation::Http { body: false }, small, small.len() - 4);
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        answered(Expectation::Http { body: true }, head.as_bytes(), head.len());
    }
}
