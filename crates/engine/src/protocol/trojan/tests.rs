//! Trojan against its definition and against a server written down from it.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use hezar_core::{Host, Secret, Target, Trojan};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{build, server, wire};
use crate::{
    BuildError, Cause, Dialer,
    protocol::{
        contract::{self, Served, pump},
        datagram_contract,
    },
    served::{CredentialId, InboundKey, InboundRequest, Keyring, KeyringKind, Opening, StrangerReason},
    testing::{connector_pair, heard},
    transport::TransportConnector,
};

fn settings() -> Trojan {
    Trojan { password: Secret::new("password"), inner_shadowsocks: None }
}

fn dialer(connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    build(&settings(), connector)
}

/// Reads the request byte by byte and answers with plain payload.
async fn serve(mut peer: DuplexStream) -> Served {
    let mut start = [0; 59];
    peer.read_exact(&mut start).await.unwrap();
    assert_eq!(&start[..], b"d63dc919e201d7bc4c825630d2cf25fdc93d4b2f0d46706d29038d01\r\n\x01");
    assert_eq!(peer.read_u8().await.unwrap(), 3);
    let mut name = vec![0; usize::from(peer.read_u8().await.unwrap())];
    peer.read_exact(&mut name).await.unwrap();
    let port = peer.read_u16().await.unwrap();
    assert_eq!(peer.read_u16().await.unwrap(), 0x0d0a);
    let host = Host::new(std::str::from_utf8(&name).unwrap()).unwrap();
    (Target::new(host, port).unwrap(), pump(peer))
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    contract::all(dialer, serve).await;
}

#[test]
fn golden_request() {
    let expected = "643633646339313965323031643762633463383235363330643263663235666463393364346232663064343637303664323930\
                    33386430310d0a01030b6578616d706c652e636f6d01bb0d0a";
    assert_eq!(hex::encode(wire::request(&wire::key("password"), wire::CONNECT, &contract::target())), expected);
    let v4 = wire::request(&wire::key("x"), wire::CONNECT, &Target::parse("192.0.2.7:80").unwrap());
    assert_eq!(&v4[58..], b"\x01\x01\xc0\x00\x02\x07\x00\x50\r\n");
    let v6 = wire::request(&wire::key("x"), wire::CONNECT, &Target::parse("[2001:db8::1]:65535").unwrap());
    assert_eq!(&v6[58..], b"\x01\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff\r\n");
}

#[tokio::test(start_paused = true)]
async fn silence_is_closed() {
    assert!(matches!(contract::cause_of_answer(dialer, b"", 1, 64).await, Some(Cause::Closed)));
    assert!(contract::cause_of_answer(dialer, b"x", 1, 64).await.is_none());
}

#[test]
fn refuses_the_inner_layer() {
    let settings = Trojan { inner_shadowsocks: Some(Secret::new("aes-128-gcm:x")), ..settings() };
    let refused = build(&settings, connector_pair(1, 1).0).unwrap_err();
    assert_eq!(refused, BuildError::Unsupported("Shadowsocks inside Trojan"));
}

proptest! {
    #[test]
    fn any_password_and_target(password in ".{0,40}", name in "[a-z]{1,60}\\.[a-z]{2,10}", port in 1u16..) {
        let target = Target::parse(&format!("{name}:{port}")).unwrap();
        let bytes = wire::request(&wire::key(&password), wire::CONNECT, &target);
        prop_assert_eq!(bytes.len(), 56 + 2 + 1 + 2 + name.len() + 2 + 2);
        prop_assert!(bytes.ends_with(b"\r\n"));
    }
}

const KEY: &[u8] = b"d63dc919e201d7bc4c825630d2cf25fdc93d4b2f0d46706d29038d01";

#[tokio::test(start_paused = true)]
async fn datagrams_go_in_packets() {
    let packet =
        |address: &[u8], payload: &[u8]| [address, &(payload.len() as u16).to_be_bytes(), b"\r\n", payload].concat();
    let (name, v4) = (&b"\x03\x09a.example\x00\x35"[..], &b"\x01\x01\x02\x03\x04\x01\xbb"[..]);
    let expected =
        [KEY, b"\r\n\x03", name, b"\r\n", &packet(name, b"one"), &packet(v4, &[7; 1200]), &packet(name, b"")];
    let sent: [(&str, &[u8]); 3] = [("a.example:53", b"one"), ("1.2.3.4:443", &[7; 1200]), ("a.example:53", b"")];
    datagram_contract::sends(dialer, &sent, &expected.concat()).await;

    // A sender that is none is passed over, as is the end in the middle of a packet.
    let nobody = &b"\x01\x01\x02\x03\x04\0\0"[..];
    let answer = [packet(v4, b"two"), packet(nobody, b"x"), packet(name, b""), packet(name, &[9; 3000]), v4.to_vec()];
    let expected: [(&[u8], &str); 3] = [(b"two", "1.2.3.4:443"), (b"", "a.example:53"), (&[9; 3000], "a.example:53")];
    let end = datagram_contract::receives(dialer, "a.example:53", &answer.concat(), &expected).await;
    assert!(matches!(end, Cause::Closed));
    for wrong in [&b"\x05aaaa"[..], b"\x01\x01\x02\x03\x04\x01\xbb\x00\x01\n\rx", b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let end = datagram_contract::receives(dialer, "a.example:53", wrong, &[]).await;
        assert!(matches!(end, Cause::Protocol(_)), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_datagram_too_large_is_lost_alone() {
    let (connector, mut peer) = connector_pair(1, 64 * 1024);
    let association = datagram_contract::associate(&dialer, connector).await;
    let error = association.send_to(&[0; 70_000], &contract::target()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    association.send_to(b"x", &contract::target()).await.unwrap();
    let mut start = [0; 59];
    peer.read_exact(&mut start).await.unwrap();
    assert_eq!(start[..56], *KEY);
}

#[tokio::test]
async fn calls_that_are_given_up_lose_nothing() {
    let (connector, mut peer) = connector_pair(3, 2);
    let association = datagram_contract::associate(&dialer, connector).await;
    let target = contract::target();
    // The second datagram follows the first whole, however often the first call was given up.
    datagram_contract::impatient(|| association.send_to(&[1; 300], &target)).await.unwrap();
    association.send_to(&[2; 300], &target).await.unwrap();
    let packet = |byte: u8| [&b"\x03\x0bexample.com\x01\xbb\x01\x2c\r\n"[..], &[byte; 300]].concat();
    let mut start = vec![0; 56 + 2 + 1 + 15 + 2];
    peer.read_exact(&mut start).await.unwrap();
    let mut found = vec![0; packet(1).len()];
    let mut ones = 0;
    loop {
        peer.read_exact(&mut found).await.unwrap();
        if found == packet(2) {
            break;
        }
        assert!(found == packet(1), "a packet is cut");
        ones += 1;
    }
    assert!(ones >= 1);
    peer.write_all(&[packet(3), packet(4)].concat()).await.unwrap();
    for byte in [3, 4] {
        let (payload, _) = datagram_contract::impatient(|| heard(&*association)).await.unwrap();
        assert_eq!(payload, vec![byte; 300]);
    }
}

proptest! {
    #[test]
    fn any_packets(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        datagram_contract::survives(super::datagram::Codec::new(wire::key("x")), bytes);
    }
}

#[tokio::test]
async fn a_datagram_is_taken_whole_or_not_at_all() {
    let (connector, mut peer) = connector_pair(1, 64 * 1024);
    let association = datagram_contract::associate(&dialer, connector).await;
    let target = contract::target();
    let (mut cx, mut taken) = (Context::from_waker(Waker::noop()), 0);
    // Nobody reads, so at some time nothing more is taken.
    while association.poll_send_to(&mut cx, &[taken; 30_000], &target).is_ready() {
        taken += 1;
        assert!(taken < 10);
    }
    let length = (56 + 2 + 1 + 15 + 2) + usize::from(taken) * (15 + 2 + 2 + 30_000);
    let mut read = vec![0; 1 + length];
    let reading = peer.read_exact(&mut read[..length]);
    let (flushed, read_all) = tokio::join!(std::future::poll_fn(|cx| association.poll_flush(cx)), reading);
    flushed.unwrap();
    read_all.unwrap();
    drop(association);
    assert_eq!(peer.read(&mut read[length..]).await.unwrap(), 0, "what was not taken was not sent");
    assert_eq!(read[length - 1], taken - 1);
}

const REQUEST: &[u8] =
    b"d63dc919e201d7bc4c825630d2cf25fdc93d4b2f0d46706d29038d01\r\n\x01\x03\x0bexample.com\x01\xbb\r\n";

fn keyring() -> Keyring {
    let key = |id, password: &[u8]| (CredentialId(id), InboundKey::new(password));
    Keyring::new(KeyringKind::Trojan, [key(0, b"other"), key(1, b"password")])
}

/// What the server half makes of these bytes, after which the client ends its side.
async fn opened(said: &[u8]) -> Opening {
    let (mut near, far) = duplex(1024);
    near.write_all(said).await.unwrap();
    near.shutdown().await.unwrap();
    server::accept(Box::new(far), &keyring()).await.unwrap()
}

/// Serves a stream by the server half.
async fn serve_by_half(peer: DuplexStream) -> Served {
    match server::accept(Box::new(peer), &keyring()).await.unwrap() {
        Opening::Request(InboundRequest::Stream(request)) => {
            assert_eq!(request.credential, CredentialId(1));
            (request.target, pump(request.stream))
        }
        _ => panic!("no request for a stream"),
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_client_is_served() {
    contract::all(dialer, serve_by_half).await;
}

#[tokio::test]
async fn datagrams_of_our_own_client_are_served() {
    let (connector, peer) = connector_pair(2, 300);
    let association = datagram_contract::associate(&dialer, connector).await;
    datagram_contract::ask(&association).await;
    let Opening::Request(InboundRequest::Datagrams(request)) =
        server::accept(Box::new(peer), &keyring()).await.unwrap()
    else {
        panic!("no request for datagrams");
    };
    assert_eq!(request.credential, CredentialId(1));
    datagram_contract::are_answered(association, &*request.datagram).await;
}

#[tokio::test]
async fn whoever_is_no_client_is_a_stranger_with_all_its_bytes() {
    let with = |at: usize, byte: u8| {
        let mut changed = REQUEST.to_vec();
        changed[at] = byte;
        changed
    };
    let cut = |length: usize| REQUEST[..length].to_vec();
    for (said, why) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), StrangerReason::Protocol),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), StrangerReason::Protocol),
        (vec![0; 100], StrangerReason::Protocol),
        (REQUEST.to_ascii_uppercase(), StrangerReason::Protocol),
        (b"deadbeef".to_vec(), StrangerReason::Credential),
        (with(55, b'2'), StrangerReason::Credential),
        (with(56, b'\n'), StrangerReason::Protocol),
        (with(58, 2), StrangerReason::Protocol),
        (with(58, 0x7f), StrangerReason::Command("mux.cool of Trojan")),
        (with(59, 9), StrangerReason::Protocol),
        (with(REQUEST.len() - 1, b'\r'), StrangerReason::Protocol),
        // Port 0 is no target.
        ([&REQUEST[..72], b"\0\0\r\n"].concat(), StrangerReason::Protocol),
        (cut(1), StrangerReason::TooShort),
        (cut(56), StrangerReason::TooShort),
        (cut(REQUEST.len() - 1), StrangerReason::TooShort),
    ] {
        let Opening::Stranger(mut stranger) = opened(&said).await else { panic!("{said:?}") };
        assert_eq!(stranger.why, why, "{said:?}");
        let mut all = Vec::new();
        stranger.stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, said);
    }
}

/// A site would already be answering: nothing more needs to come.
#[tokio::test]
async fn a_stranger_is_found_out_at_its_first_byte_that_is_no_clients() {
    for said in [&b"G"[..], b"\x16", b"dG", b"deadbeef"] {
        let (mut near, far) = duplex(1024);
        near.write_all(said).await.unwrap();
        assert!(matches!(server::accept(Box::new(far), &keyring()).await, Ok(Opening::Stranger(_))), "{said:?}");
    }
}

proptest! {
    #[test]
    fn any_client_in_any_pieces(data in proptest::collection::vec(any::<u8>(), 0..300), piece in 1usize..100) {
        prop_assert_eq!(server::decode(&data, piece), server::decode(&data, usize::MAX));
    }

    #[test]
    fn any_request_in_any_pieces(
        command in prop_oneof![Just(1_u8), Just(3), any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..100),
        piece in 1usize..100,
    ) {
        let data = [&b"\0\r\n"[..], &[command], b"\x01\xc0\x00\x02\x01\x00\x50\r\n", &rest].concat();
        prop_assert_eq!(server::decode(&data, piece), server::decode(&data, usize::MAX));
    }
}
