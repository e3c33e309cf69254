//! The server against our own client, against golden bytes, and against what is no client.

use std::{sync::Arc, time::Duration};

use hezar_core::{Host, PacketEncoding, Target, Vless};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};
use uuid::{Uuid, uuid};

use super::{Layered, NOT_LEAVABLE, accept, judge};
use crate::{
    BuildError, Dialer,
    protocol::{
        contract::{self, Served, pump},
        datagram_contract::{associate, at, next},
        vless::{build, wire},
    },
    served::{
        CredentialId, DatagramRequest, InboundKey, InboundRequest, Keyring, KeyringKind, Opening, Stranger,
        StrangerReason, StreamRequest,
    },
    testing::{Chopped, connector_pair, heard},
    transport::TransportConnector,
};

const ID: Uuid = uuid!("b831381d-6324-4d53-ad4f-8cda48b30811");

/// Two users, of which the second one is that of all tests.
pub(in super::super) fn keyring() -> Keyring {
    let keys = [(4, [1; 16]), (7, *ID.as_bytes())];
    Keyring::new(KeyringKind::Vless, keys.map(|(number, key)| (CredentialId(number), InboundKey::new(key))))
}

fn dialer(encoding: PacketEncoding) -> impl Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    move |connector| build(&Vless { id: ID, flow: None, encryption: None, packet_encoding: encoding }, connector)
}

async fn stream_request(carrier: Layered) -> StreamRequest {
    match accept(carrier, &keyring()).await.unwrap() {
        Opening::Request(InboundRequest::Stream(request)) => request,
        _ => panic!("no request for a stream"),
    }
}

async fn stranger(carrier: Layered) -> Stranger {
    match accept(carrier, &keyring()).await.unwrap() {
        Opening::Stranger(stranger) => stranger,
        _ => panic!("no stranger"),
    }
}

/// Serves one granted request for a stream.
pub(in super::super) async fn serve(carrier: Layered) -> Served {
    let mut request = stream_request(carrier).await;
    assert_eq!(request.credential, CredentialId(7));
    request.stream.grant();
    (request.target, pump(request.stream))
}

/// The server's end of a stream, cut into pieces.
fn plain(peer: DuplexStream, most: usize) -> Layered {
    Layered::Other(Box::new(Chopped::new(peer, 11, most)))
}

/// A stream on which these bytes have come, and nothing else will.
fn said(bytes: &[u8], most: usize) -> Layered {
    let (ours, mut theirs) = duplex(bytes.len().max(1));
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        theirs.write_all(&bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        // The stream is read to its end; nobody answers.
        let _ = theirs.read_to_end(&mut Vec::new()).await;
    });
    plain(ours, most)
}

fn request(addons: &[u8], command: &[u8]) -> Vec<u8> {
    [&[0], &ID.as_bytes()[..], &[addons.len() as u8], addons, command].concat()
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws_with_our_client() {
    contract::all(dialer(PacketEncoding::Xudp), |peer| serve(plain(peer, 3000))).await;
}

#[tokio::test]
async fn golden_bytes() {
    let head = hex::decode("00b831381d63244d53ad4f8cda48b30811000101bb020b6578616d706c652e636f6d").unwrap();
    for most in [1, 5, 4096] {
        let mut asked = stream_request(said(&[&head[..], b"hello"].concat(), most)).await;
        assert_eq!((asked.target.to_string().as_str(), asked.credential), ("example.com:443", CredentialId(7)));
        let mut rest = Vec::new();
        asked.stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"hello");
    }
    // The address of the other family, and addons with an empty flow and a field that nobody knows.
    let v6 = request(b"\x0a\0\x12\x02xy", b"\x01\x00\x50\x03\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
    assert_eq!(stream_request(said(&v6, 100)).await.target.to_string(), "[2001:db8::1]:80");
}

#[tokio::test(start_paused = true)]
async fn the_response_header_leaves_with_the_first_bytes_or_alone_and_not_before_the_grant() {
    let asked = || async {
        let (ours, mut theirs) = duplex(1000);
        theirs.write_all(&request(b"", b"\x01\x01\xbb\x01\x01\x02\x03\x04")).await.unwrap();
        (stream_request(Layered::Other(Box::new(ours))).await.stream, theirs)
    };
    let hour = Duration::from_secs(3600);

    let (mut stream, mut client) = asked().await;
    stream.grant();
    stream.write_all(b"answer").await.unwrap();
    let mut came = [0; 64];
    assert_eq!(client.read(&mut came).await.unwrap(), 8);
    assert_eq!(came[..8], *b"\0\0answer");

    // Nothing of the target for a long time: the client hears that it is served.
    let (mut stream, mut client) = asked().await;
    stream.grant();
    assert!(timeout(hour, stream.read_u8()).await.is_err());
    assert_eq!(client.read(&mut came).await.unwrap(), 2);
    assert_eq!(came[..2], [0, 0]);

    // A request that is refused, however long that took.
    let (mut stream, mut client) = asked().await;
    assert!(timeout(hour, stream.read_u8()).await.is_err());
    stream.shutdown().await.unwrap();
    assert_eq!(client.read(&mut came).await.unwrap(), 0);

    // One that ends without an answer after the grant.
    let (mut stream, mut client) = asked().await;
    stream.grant();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn strangers_are_told_apart_at_once_and_lose_no_byte() {
    let known = |rest: &[u8]| [&[0], &ID.as_bytes()[..], rest].concat();
    let mut other = known(b"");
    other[16] ^= 1;
    let cases: [(Vec<u8>, StrangerReason); 14] = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), StrangerReason::Protocol),
        (b"\x16\x03\x01".to_vec(), StrangerReason::Protocol),
        (vec![0, 0xb8, 0x31, 0x38, 0x1e], StrangerReason::Credential),
        (other, StrangerReason::Credential),
        (known(&[0, 5]), StrangerReason::Protocol),
        (known(&[0, 4]), StrangerReason::Command("reverse connections of VLESS")),
        (known(&[0, 1, 1, 187, 9]), StrangerReason::Protocol),
        (known(b"\0\x01\0\0\x01\x01\x02\x03\x04"), StrangerReason::Protocol),
        (known(b"\0\x02\0\x35\x02\x04a b!"), StrangerReason::Protocol),
        (known(b"\x06\x0a\x04xtls\x01"), StrangerReason::Command("a flow of VLESS that is not Vision")),
        (known(b"\x02\x10\x00"), StrangerReason::Protocol),
        (known(b"\x03\x0a\x02x"), StrangerReason::Protocol),
        (request(wire::VISION, b"\x01\x01\xbb\x01\x01\x02\x03\x04"), NOT_LEAVABLE),
        (known(&[0]), StrangerReason::TooShort),
    ];
    for (bytes, why) in cases {
        for most in [1, 7, 4096] {
            let mut found = stranger(said(&bytes, most)).await;
            assert_eq!(found.why, why, "{bytes:?}");
            let mut all = Vec::new();
            found.stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, bytes);
        }
        // It is known without one more byte, unless it only ended too early.
        let judged = judge(&bytes, &keyring(), false);
        assert_eq!(judged.is_err(), why != StrangerReason::TooShort, "{judged:?}");
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_an_error() {
    assert!(accept(said(b"", 1), &keyring()).await.is_err());
}

/// An association of our client, and the server's end of it.
async fn meet(encoding: PacketEncoding, most: usize, first: &str) -> (crate::BoxDatagram, DatagramRequest) {
    let (connector, peer) = connector_pair(5, most);
    let server = tokio::spawn(async move {
        match accept(plain(peer, most), &keyring()).await.unwrap() {
            Opening::Request(InboundRequest::Datagrams(request)) => request,
            _ => panic!("no request for datagrams"),
        }
    });
    let client = associate(&dialer(encoding), connector).await;
    client.send_to(b"first", &at(first)).await.unwrap();
    (client, server.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn datagrams_both_ways_in_every_encoding() {
    let name = "a.example:53";
    let cases = [
        (PacketEncoding::Xudp, name, "192.0.2.9:53"),
        (PacketEncoding::Xudp, "[2001:db8::1]:443", name),
        (PacketEncoding::PacketAddr, "192.0.2.1:53", "192.0.2.9:53"),
        // Without addresses the client takes each answer for one of its target.
        (PacketEncoding::PacketAddr, name, name),
        (PacketEncoding::None, name, name),
        (PacketEncoding::None, "192.0.2.1:53", "192.0.2.1:53"),
    ];
    for (encoding, first, sender) in cases {
        for most in [1, 100, 64 * 1024] {
            let (client, server) = meet(encoding, most, first).await;
            assert_eq!((server.credential, server.client), (CredentialId(7), None));
            assert_eq!(heard(&*server.datagram).await.unwrap(), (b"first".to_vec(), at(first)));
            client.send_to(b"", &at(first)).await.unwrap();
            assert_eq!(heard(&*server.datagram).await.unwrap(), (Vec::new(), at(first)));
            // From somewhere else, as a node may say of a name's address.
            let from = at(if encoding == PacketEncoding::None { "192.0.2.77:53" } else { sender });
            for payload in [&b"answer"[..], &[7; 9_000]] {
                let sending = server.datagram.send_to(payload, &from);
                let (sent, came) = tokio::join!(sending, next(&client));
                sent.unwrap();
                assert_eq!(came.unwrap(), (payload.to_vec(), sender.to_owned()), "{encoding:?} {first}");
            }
            drop(client);
            assert!(heard(&*server.datagram).await.is_err(), "the client's end is the association's");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn packetaddr_is_known_by_its_name_and_names_cannot_be_told() {
    let head = request(b"", b"\x02\0\0\x02\x19sp.packet-addr.v2fly.arpa");
    let carrier = said(&[&head[..], b"\0\x0a\x01\x01\x02\x03\x04\x00\x35one"].concat(), 100);
    let Opening::Request(InboundRequest::Datagrams(asked)) = accept(carrier, &keyring()).await.unwrap() else {
        panic!("no request for datagrams");
    };
    assert_eq!(heard(&*asked.datagram).await.unwrap(), (b"one".to_vec(), at("1.2.3.4:53")));
    let refused = asked.datagram.send_to(b"x", &at("a.example:53")).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn a_session_of_datagrams_has_its_first_target() {
    // Xray's id of a session behind the address; then a frame without one, one for another target, and one without payload.
    let frames = [
        &b"\0\x14\0\0\x01\x01\x02\x00\x35\x01\x01\x02\x03\x04globalid\0\x03one"[..],
        b"\0\x04\0\0\x02\x01\0\x03two",
        b"\0\x04\0\0\x04\0",
        b"\0\x0c\0\0\x02\x01\x02\x00\x36\x01\x05\x06\x07\x08\0\x05three",
        b"\0\x04\0\0\x03\0",
    ];
    let (ours, mut theirs) = duplex(4096);
    theirs.write_all(&[&request(b"", b"\x03")[..], &frames.concat()].concat()).await.unwrap();
    let Opening::Request(InboundRequest::Datagrams(asked)) = accept(plain(ours, 3), &keyring()).await.unwrap() else {
        panic!("no request for datagrams");
    };
    for (payload, target) in [("one", "1.2.3.4:53"), ("two", "1.2.3.4:53"), ("three", "5.6.7.8:54")] {
        assert_eq!(heard(&*asked.datagram).await.unwrap(), (payload.into(), at(target)));
    }
    assert!(heard(&*asked.datagram).await.is_err(), "the client has ended the session");
    asked.datagram.send_to(b"answer", &at("9.9.9.9:53")).await.unwrap();
    let mut came = [0; 2 + 14 + 2 + 6];
    theirs.read_exact(&mut came).await.unwrap();
    assert_eq!(came, *b"\0\0\0\x0c\0\0\x02\x01\x02\x00\x35\x01\x09\x09\x09\x09\0\x06answer");
}

proptest! {
    /// What is decided of a front is not decided otherwise when more has come.
    #[test]
    fn any_front(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), known in any::<bool>(), command in 0..6_u8, leavable: bool,
    ) {
        let bytes = if known { [&[0], &ID.as_bytes()[..], &[0, command], &bytes].concat() } else { bytes };
        let keyring = keyring();
        let whole = judge(&bytes, &keyring, leavable);
        for length in 0..bytes.len() {
            let part = judge(&bytes[..length], &keyring, leavable);
            prop_assert!(part == Ok(None) || part == whole);
        }
        if let Ok(Some((_, length))) = whole {
            prop_assert!(length <= bytes.len());
        }
    }

    #[test]
    fn what_our_client_asks_is_read(name in "[a-z]{1,63}(\\.[a-z]{1,10}){0,3}", port in 1..=u16::MAX, vision: bool) {
        let target = Target::new(Host::new(&name).unwrap(), port).unwrap();
        let bytes = if vision { wire::vision(&ID, &target) } else { wire::request(&ID, wire::CONNECT, &target) };
        let Ok(Some((request, length))) = judge(&bytes, &keyring(), true) else { panic!("not read") };
        prop_assert_eq!((request.vision, request.id, length), (vision, ID, bytes.len()));
        prop_assert_eq!(request.command, wire::VlessCommand::Connect(target));
    }
}
