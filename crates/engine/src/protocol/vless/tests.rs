//! VLESS against its definition and against a server written down from it.

use std::sync::Arc;

use hezar_core::{Host, PacketEncoding, Secret, Target, Vless};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use uuid::{Uuid, uuid};

use super::{build, wire};
use crate::{
    BuildError, Cause, Dialer,
    io::header_stream::AnswerHead,
    protocol::{
        contract::{self, Served, pump},
        datagram_contract,
        packet_addr::Addressing,
    },
    testing::connector_pair,
    transport::TransportConnector,
};

const ID: Uuid = uuid!("b831381d-6324-4d53-ad4f-8cda48b30811");

fn settings() -> Vless {
    Vless { id: ID, flow: None, encryption: None, packet_encoding: PacketEncoding::Xudp }
}

fn dialer(connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    build(&settings(), connector)
}

/// Reads the request and answers with a header that has addons.
pub(super) async fn serve(mut peer: DuplexStream) -> Served {
    let mut start = [0; 19];
    peer.read_exact(&mut start).await.unwrap();
    assert_eq!((start[0], &start[1..17], start[17], start[18]), (0, &ID.as_bytes()[..], 0, 1));
    let port = peer.read_u16().await.unwrap();
    assert_eq!(peer.read_u8().await.unwrap(), 2);
    let mut name = vec![0; usize::from(peer.read_u8().await.unwrap())];
    peer.read_exact(&mut name).await.unwrap();
    peer.write_all(b"\x00\x03abc").await.unwrap();
    let host = Host::new(std::str::from_utf8(&name).unwrap()).unwrap();
    (Target::new(host, port).unwrap(), pump(peer))
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    contract::all(dialer, serve).await;
}

#[test]
fn golden_request() {
    let expected = "00b831381d63244d53ad4f8cda48b30811000101bb020b6578616d706c652e636f6d";
    assert_eq!(hex::encode(wire::request(&ID, wire::CONNECT, &contract::target())), expected);
    let v6 = wire::request(&ID, wire::CONNECT, &Target::parse("[2001:db8::1]:80").unwrap());
    let vision = wire::vision(&ID, &contract::target());
    assert_eq!((&vision[17..20], &vision[36..40]), (&b"\x12\x0a\x10"[..], &b"\x01\x01\xbb\x02"[..]));
    assert_eq!(&v6[18..], b"\x01\x00\x50\x03\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
}

#[tokio::test(start_paused = true)]
async fn names_what_went_wrong() {
    let cause = |answer| contract::cause_of_answer(dialer, answer, 1, 64);
    assert!(matches!(cause(b"").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"\0").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"\0\x05abc").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, Some(Cause::Protocol(_))));
    assert!(cause(b"\0\0").await.is_none());
    assert!(cause(b"\0\0payload").await.is_none());
}

#[test]
fn refuses_what_is_not_built() {
    let refusal = |settings| build(&settings, connector_pair(1, 1).0).unwrap_err();
    assert_eq!(
        refusal(Vless { encryption: Some(Secret::new("none at all")), ..settings() }),
        BuildError::Unsupported("this VLESS encryption")
    );
}

proptest! {
    #[test]
    fn any_answer_head(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Some(length)) = wire::ResponseHead.length(&bytes) {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(length, 2 + usize::from(bytes[1]));
        }
    }
}

fn packing(packet_encoding: PacketEncoding) -> impl Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    move |connector| build(&Vless { packet_encoding, ..settings() }, connector)
}

fn head(command: u8, address: &[u8]) -> Vec<u8> {
    [&[0], &ID.as_bytes()[..], &[0, command], address].concat()
}

#[tokio::test(start_paused = true)]
async fn datagrams_in_xudp() {
    let xudp = || packing(PacketEncoding::Xudp);
    let sent: [(&str, &[u8]); 3] = [("a.example:53", b"one"), ("1.2.3.4:443", b""), ("[2001:db8::1]:1", b"three")];
    let frames = [
        &b"\0\x12\0\0\x01\x01\x02\x00\x35\x02\x09a.example\0\x03one"[..],
        b"\0\x0c\0\0\x02\x01\x02\x01\xbb\x01\x01\x02\x03\x04\0\0",
        b"\0\x18\0\0\x02\x01\x02\x00\x01\x03\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x05three",
    ];
    datagram_contract::sends(xudp(), &sent, &[head(3, b""), frames.concat()].concat()).await;

    let answer = [
        &b"\0\x03abc"[..],
        b"\0\x0c\0\0\x02\x01\x02\x01\xbb\x01\x01\x02\x03\x04\0\x03two",
        // Without an address it speaks of the first target; a keep-alive and a sender that is none are passed over.
        b"\0\x04\0\0\x02\x01\0\x05first",
        b"\0\x04\0\0\x04\0",
        b"\0\x04\0\0\x04\x01\0\x02xx",
        b"\0\x0c\0\0\x02\x01\x02\0\0\x01\x01\x02\x03\x04\0\x01x",
        b"\0\x0c\0\0\x02\x01\x02\x01\xbb\x01\x01\x02\x03\x04\0\x04last",
        b"\0\x04\0\0\x03\0",
        b"never seen",
    ];
    let expected: [(&[u8], &str); 3] = [(b"two", "1.2.3.4:443"), (b"first", "a.example:53"), (b"last", "1.2.3.4:443")];
    let end = datagram_contract::receives(xudp(), "a.example:53", &answer.concat(), &expected).await;
    assert!(matches!(end, Cause::Closed));
    for (wrong, code) in [
        (&b""[..], "closed"),
        (b"\x01", "protocol"),
        (b"\0\0\0\x03\0\0\x02", "protocol"),
        (b"\0\0\x02\x01\0\0\x02\x01", "protocol"),
        (b"\0\0\0\x04\0\0\x09\0", "protocol"),
        (b"\0\0\0\x06\0\0\x02\x01\x02\0\0\0", "closed"),
    ] {
        let end = datagram_contract::receives(xudp(), "a.example:53", wrong, &[]).await;
        assert_eq!(end.code(), code, "{wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn datagrams_to_one_target() {
    let plain = || packing(PacketEncoding::None);
    let expected = [head(2, b"\x00\x35\x02\x09a.example"), b"\0\x03one\0\0".to_vec()].concat();
    datagram_contract::sends(plain(), &[("a.example:53", b"one"), ("a.example:53", b"")], &expected).await;
    let expected: [(&[u8], &str); 2] = [(b"two", "a.example:53"), (b"", "a.example:53")];
    let end = datagram_contract::receives(plain(), "a.example:53", b"\0\0\0\x03two\0\0\0\x05cut", &expected).await;
    assert!(matches!(end, Cause::Timeout), "a stream that ends later is opened anew: {end:?}");
    let end = datagram_contract::receives(plain(), "a.example:53", b"", &[]).await;
    assert!(matches!(end, Cause::Closed), "a server that never answered is told: {end:?}");
}

#[tokio::test(start_paused = true)]
async fn packetaddr_shares_one_stream_for_addresses() {
    let shared = || packing(PacketEncoding::PacketAddr);
    let magic = b"\x01\xbb\x02\x19sp.packet-addr.v2fly.arpa";
    let v6 = b"\x02\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50";
    let sent: [(&str, &[u8]); 2] = [("1.2.3.4:53", b"one"), ("[2001:db8::1]:80", b"two")];
    let expected = [&head(2, magic)[..], b"\0\x0a\x01\x01\x02\x03\x04\x00\x35one", b"\0\x16", v6, b"two"].concat();
    datagram_contract::sends(shared(), &sent, &expected).await;
    datagram_contract::sends(
        shared(),
        &[("a.example:53", b"one")],
        &[head(2, b"\x00\x35\x02\x09a.example"), b"\0\x03one".to_vec()].concat(),
    )
    .await;
    let answer =
        [&b"\0\0\0\x16"[..], v6, b"two\0\x01\x01\0\x0a\x01\x01\x02\x03\x04\0\0zzz\0\x07\x01\x01\x02\x03\x04\0\x01"]
            .concat();
    let expected: [(&[u8], &str); 2] = [(b"two", "[2001:db8::1]:80"), (b"", "1.2.3.4:1")];
    datagram_contract::receives(shared(), "1.2.3.4:53", &answer, &expected).await;
}

/// Each target has a stream of its own, within bounds; one that ended is opened again.
#[tokio::test(start_paused = true)]
async fn a_stream_for_each_target() {
    let (many, mut peers) = crate::testing::Many::new(7, 64 * 1024);
    let carrier = hezar_core::Carrier::plain();
    let tls = crate::TlsClients::new(&[]).into();
    let connector = TransportConnector::new(&contract::target(), &carrier, Arc::new(many), &tls).unwrap();
    let association = datagram_contract::associate(&packing(PacketEncoding::None), connector).await;
    let answer = |mut peer: DuplexStream| async move {
        let mut head = vec![0; 1 + 16 + 2 + 2 + 1 + 4];
        peer.read_exact(&mut head).await.unwrap();
        let mut question = [0; 3];
        peer.read_exact(&mut question).await.unwrap();
        peer.write_all(&[&[0, 0, 0, 1][..], &question[2..]].concat()).await.unwrap();
        peer
    };
    let mut open = Vec::new();
    for number in 0..70_u8 {
        association.send_to(&[number], &datagram_contract::at(&format!("1.2.3.{number}:5"))).await.unwrap();
        open.push(answer(peers.recv().await.unwrap()).await);
        let (payload, from) = datagram_contract::next(&association).await.unwrap();
        assert_eq!((payload, from), (vec![number], format!("1.2.3.{number}:5")));
    }
    let mut ended = 0;
    for peer in &mut open {
        let gone = tokio::time::timeout(std::time::Duration::from_secs(1), peer.read_u8()).await;
        ended += usize::from(gone.is_ok());
    }
    assert_eq!(ended, 70 - 64, "the quietest made room");
    assert!(peers.try_recv().is_err());
    // The last one ends, and its target gets a new stream.
    drop(open.pop());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    association.send_to(&[9], &datagram_contract::at("1.2.3.69:5")).await.unwrap();
    answer(peers.recv().await.unwrap()).await;
    assert_eq!(datagram_contract::next(&association).await.unwrap().0, [9]);
}

proptest! {
    #[test]
    fn any_frames(bytes in proptest::collection::vec(any::<u8>(), 0..400), session in any::<bool>()) {
        // Half of them begin as frames do.
        let bytes = if session { [&[0, 12, 0, 0, 2, 1, 2][..], &bytes].concat() } else { bytes };
        datagram_contract::survives(crate::protocol::xudp::Xudp::default(), bytes.clone());
        datagram_contract::survives(crate::protocol::uot::Uot::opened(), bytes.clone());
        for addressing in [Addressing::Each, Addressing::One(contract::target())] {
            datagram_contract::survives(super::datagram::Codec { addressing }, bytes.clone());
        }
    }
}
