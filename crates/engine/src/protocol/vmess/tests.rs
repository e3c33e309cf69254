//! VMess against golden bytes (computed apart, from the definition) and against a server written down from it.

use std::sync::Arc;

use hezar_core::{PacketEncoding, Vmess, VmessCipher};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use uuid::{Uuid, uuid};

use super::{
    body::{Body, BodyKind, MAX_PAYLOAD},
    build, kdf, kind, peer,
    wire::{self, Random, ResponseKeys, SEALED_LENGTH, User},
};
use crate::{
    BuildError, Cause, Dialer,
    io::codec_stream::{CodecStream, Opened},
    protocol::{contract, datagram_contract, packet_addr::Addressing, packets::PacketCodec},
    transport::TransportConnector,
};

const ID: Uuid = uuid!("b831381d-6324-4d53-ad4f-8cda48b30811");
const CIPHERS: [VmessCipher; 5] =
    [VmessCipher::Auto, VmessCipher::Aes128Gcm, VmessCipher::Chacha20Poly1305, VmessCipher::None, VmessCipher::Zero];

fn dialer(cipher: VmessCipher) -> impl Fn(TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let settings = Vmess { id: ID, alter_id: 0, cipher, packet_encoding: PacketEncoding::Xudp };
    move |connector| build(&settings, connector)
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    for cipher in CIPHERS {
        contract::all(dialer(cipher), |io| peer::serve(ID, io)).await;
    }
}

/// The choices that the golden bytes were computed with.
fn random() -> Random {
    let run = |from: u8| std::array::from_fn(|i| from + i as u8);
    let mut padding: [u8; 16] = std::array::from_fn(|i| 0x80 + i as u8);
    padding[0] = 3;
    Random {
        auth: [1, 2, 3, 4],
        connection_nonce: std::array::from_fn(|i| 0x10 + i as u8),
        body_nonce: run(0x20),
        body_key: run(0x30),
        mark: 0x5a,
        padding,
    }
}

#[test]
fn golden_request() {
    let request = wire::request(
        &User::new(&ID),
        BodyKind::Aes128Gcm,
        wire::Command::Connect(&contract::target()),
        1_700_000_000,
        &random(),
    );
    let expected = "4774fe5cc901ea4f81f2159909767a36dbd1ef06b890bda19a0c8c3cc41df37466291011121314151617dac212542f9d6b1e\
                    d74859ed7bd9158a77380d6da8a5302b277452a1f764d03ebf665dcd2fb5363a47a8ac5da896b81d5fbc51562984b0dc7b54\
                    d2cac171be59122b70a28e333fcba67fc039";
    assert_eq!(hex::encode(request.unwrap()), expected);
}

/// Opens a whole answer at once.
fn open_answer(kind: BodyKind, hexadecimal: &str) -> Result<Vec<u8>, Cause> {
    let mut bytes = hex::decode(hexadecimal).unwrap();
    let answer = ResponseKeys::for_request(&random());
    let (length, rest) = bytes.split_at_mut(SEALED_LENGTH);
    let (header, mut body) = rest.split_at_mut(answer.open_length(length)? + 16);
    answer.open_header(header)?;
    let mut chunks = Body::new(kind, &answer.body_key, &answer.body_nonce)?;
    let mut text = vec![0; 1024];
    let mut out = ReadBuf::new(&mut text);
    loop {
        match chunks.open(body, &mut out)? {
            Opened::Used(used) => body = body.split_at_mut(used).1,
            Opened::End => return Ok(out.filled().to_vec()),
            other => panic!("{other:?}"),
        }
    }
}

/// Two chunks, `hello ` and `world`, and the end; the padding is 0xee.
const AES_ANSWER: &str = "6797df2b7410a67de894084db988ae97c4774a80a14980ca327785428f407bc7a23a31c0db4da13acf9ec37362bc6b7d931d\
                f6b5041899ead8c96abfea51eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\
                eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeec91ba04b0bf2c5936b91281d0d2cb6b8a331bfa53dc694eeeeeeeeeeeeeeee\
                eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee257dfc53872e05ec0a9d84f707d2b2248195\
                eeeeeeee";
const CHACHA_ANSWER: &str = "6797df2b7410a67de894084db988ae97c4774a80a14980ca327785428f407bc7a23a31c0db4da13aafe79a76641b5c6da9cd\
                8f752ef294d971916b87376eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\
                eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeec91b1831806a23e4defb261cf7d4053c1303a1ae304033eeeeeeeeeeeeeeee\
                eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee257df90d3c81cf67c54cf0268921daf04de4\
                eeeeeeee";

#[test]
fn golden_answers() {
    assert_eq!(open_answer(BodyKind::Aes128Gcm, AES_ANSWER).unwrap(), b"hello world");
    assert_eq!(open_answer(BodyKind::Chacha20Poly1305, CHACHA_ANSWER).unwrap(), b"hello world");
}

#[test]
fn changed_answers_are_refused() {
    let change = |at: usize| {
        let mut bytes = hex::decode(AES_ANSWER).unwrap();
        bytes[at] ^= 1;
        open_answer(BodyKind::Aes128Gcm, &hex::encode(bytes)).unwrap_err()
    };
    assert!(matches!(change(0), Cause::Authentication));
    assert!(matches!(change(20), Cause::Authentication));
    assert!(matches!(change(42), Cause::Protocol(_)));
    let answer = ResponseKeys::for_request(&Random { mark: 0x5b, ..random() });
    let mut bytes = hex::decode(AES_ANSWER).unwrap();
    let (length, rest) = bytes.split_at_mut(SEALED_LENGTH);
    let length = answer.open_length(length).unwrap();
    assert!(matches!(answer.open_header(&mut rest[..length + 16]), Err(Cause::Authentication)));
}

#[test]
fn golden_plain_body() {
    let mut body = Body::new(BodyKind::Plain, &random().body_key, &random().body_nonce).unwrap();
    let (mut wire, mut random) = (Vec::new(), StdRng::seed_from_u64(1));
    assert_eq!(body.seal(b"hello", &mut random, &mut wire).unwrap(), 5);
    assert_eq!(body.seal(b"", &mut random, &mut wire).unwrap(), 0);
    assert_eq!(hex::encode(wire), "e48d68656c6c6f2235");
}

#[tokio::test(start_paused = true)]
async fn names_what_went_wrong() {
    let cause = |answer| contract::cause_of_answer(dialer(VmessCipher::Auto), answer, 1, 64);
    assert!(matches!(cause(b"").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"short").await, Some(Cause::Closed)));
    assert!(matches!(cause(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, Some(Cause::Authentication)));
}

#[tokio::test(start_paused = true)]
async fn alternative_ids_change_nothing() {
    let settings = Vmess { id: ID, alter_id: 64, cipher: VmessCipher::Auto, packet_encoding: PacketEncoding::Xudp };
    contract::all(|connector| build(&settings, connector), |io| peer::serve(ID, io)).await;
}

proptest! {
    #[test]
    fn derives_as_defined(
        key in proptest::collection::vec(any::<u8>(), 0..100),
        path in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..4),
    ) {
        let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(kdf::derive(&key, &path).to_vec(), peer::kdf(&key, &path));
    }

    #[test]
    fn bodies_round_trip(
        cipher in proptest::sample::select(&CIPHERS[..4]),
        pieces in proptest::collection::vec(1..3 * MAX_PAYLOAD, 1..5),
        room in 1..40_000_usize,
        seed: u64,
    ) {
        let kind = kind(cipher);
        let body = || Body::new(kind, &[7; 16], &[9; 16]).unwrap();
        let (mut ours, mut theirs, mut random) = (body(), body(), StdRng::seed_from_u64(seed));
        let (mut wire, mut sent) = (Vec::new(), Vec::new());
        for (i, length) in pieces.into_iter().enumerate() {
            let payload = vec![i as u8; length];
            let taken = ours.seal(&payload, &mut random, &mut wire).unwrap();
            prop_assert!(taken == length.min(MAX_PAYLOAD));
            sent.extend_from_slice(&payload[..taken]);
        }
        ours.seal(&[], &mut random, &mut wire).unwrap();
        let (mut at, mut received) = (0, Vec::new());
        loop {
            let mut text = vec![0; room];
            let mut out = ReadBuf::new(&mut text);
            let opened = theirs.open(&mut wire[at..], &mut out).unwrap();
            received.extend_from_slice(out.filled());
            match opened {
                Opened::Used(used) => at += used,
                Opened::Held(used, range) => {
                    received.extend_from_slice(&wire[at + range.start..at + range.end]);
                    at += used;
                }
                Opened::End => break,
                Opened::Need(_) => panic!("all bytes are there"),
            }
        }
        prop_assert!(received == sent);
    }

    #[test]
    fn garbage_is_an_error(answer in proptest::collection::vec(any::<u8>(), 0..200), seed: u64, most in 1..300_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for cipher in [VmessCipher::Aes128Gcm, VmessCipher::None] {
            prop_assert!(runtime.block_on(contract::cause_of_answer(dialer(cipher), &answer, seed, most)).is_some());
        }
    }

    #[test]
    fn garbage_chunks_end(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000), which in 0..4_usize) {
        let mut body = Body::new(kind(CIPHERS[which]), &[1; 16], &[2; 16]).unwrap();
        let mut at = 0;
        for _ in 0..bytes.len() + 2 {
            let mut text = [0; 512];
            match body.open(&mut bytes[at..], &mut ReadBuf::new(&mut text)) {
                Ok(Opened::Used(used) | Opened::Held(used, _)) => at += used,
                Ok(Opened::Need(need)) => {
                    prop_assert!(need > bytes.len() - at);
                    break;
                }
                Ok(Opened::End) | Err(_) => break,
            }
        }
    }
}

/// A chunk's nonce has 16 bits of number: 65,536 chunks, of which the last is left for the end.
#[test]
fn a_direction_ends_before_a_nonce_comes_again() {
    for cipher in [VmessCipher::Aes128Gcm, VmessCipher::Chacha20Poly1305] {
        let body = |number| {
            let mut body = Body::new(kind(cipher), &[7; 16], &[9; 16]).unwrap();
            body.skip_to(number);
            body
        };
        let mut random = StdRng::seed_from_u64(1);
        let (mut ours, mut wire) = (body(65_534), Vec::new());
        assert_eq!(ours.seal(b"last", &mut random, &mut wire).unwrap(), 4);
        let whole = wire.len();
        assert!(matches!(ours.seal(b"more", &mut random, &mut wire), Err(Cause::Unsupported(_))));
        assert_eq!(wire.len(), whole, "nothing of it leaves");
        ours.seal(b"", &mut random, &mut wire).unwrap();
        assert!(ours.seal(b"", &mut random, &mut wire).is_err());
        let (mut theirs, mut at, mut room) = (body(65_534), 0, [0; 100]);
        let mut out = ReadBuf::new(&mut room);
        while let Opened::Used(used) = theirs.open(&mut wire[at..], &mut out).unwrap() {
            at += used;
        }
        assert_eq!(out.filled(), b"last");

        // Other implementations use all numbers and then go on.
        let (mut server, mut wire) = (body(65_535), Vec::new());
        server.allow_wrap();
        for word in [&b"last"[..], b"again"] {
            server.seal(word, &mut random, &mut wire).unwrap();
        }
        let read = |mut client: Body| {
            let (mut wire, mut at, mut room) = (wire.clone(), 0, [0; 100]);
            let mut out = ReadBuf::new(&mut room);
            loop {
                match client.open(&mut wire[at..], &mut out) {
                    Ok(Opened::Used(used)) => at += used,
                    Ok(_) => return (out.filled().to_vec(), None),
                    Err(cause) => return (out.filled().to_vec(), Some(cause.code())),
                }
            }
        };
        assert_eq!(read(body(65_535)), (b"last".to_vec(), Some("unsupported")));
        let mut inside_tls = body(65_535);
        inside_tls.allow_wrap();
        assert_eq!(read(inside_tls), (b"lastagain".to_vec(), None));
    }
    // What is not encrypted has no nonces.
    let mut plain = Body::new(BodyKind::Plain, &[7; 16], &[9; 16]).unwrap();
    plain.skip_to(65_536);
    assert!(plain.seal(b"more", &mut StdRng::seed_from_u64(1), &mut Vec::new()).is_ok());
}

#[tokio::test]
async fn a_stream_that_is_used_up_ends_cleanly() {
    for (inside, whole) in [(false, MAX_PAYLOAD), (true, 3 * MAX_PAYLOAD)] {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let kind = BodyKind::Aes128Gcm;
        let command = wire::Command::Connect(&contract::target());
        let mut codec = super::codec(&User::new(&ID), kind, command).unwrap().inside_tls(inside);
        codec.skip_to(65_534);
        let mut stream = CodecStream::new(Box::new(ours), codec);
        let sent = stream.write(&vec![1; 3 * MAX_PAYLOAD]).await.unwrap();
        assert_eq!(sent, whole);
        assert_eq!(stream.write(b"more").await.is_ok(), inside);
        stream.shutdown().await.unwrap();
        let mut wire = Vec::new();
        theirs.read_to_end(&mut wire).await.unwrap();
        assert!(wire.len() > whole);
    }
}

#[test]
fn an_end_without_its_tag_is_none() {
    for cipher in [VmessCipher::Aes128Gcm, VmessCipher::Chacha20Poly1305] {
        for changed in 0..18 {
            let body = || Body::new(kind(cipher), &[7; 16], &[9; 16]).unwrap();
            let (mut theirs, mut ours, mut wire) = (body(), body(), Vec::new());
            theirs.seal(b"", &mut StdRng::seed_from_u64(1), &mut wire).unwrap();
            let mut room = [0; 100];
            let mut open = |from: usize, to: usize, wire: &mut [u8]| {
                ours.open(&mut wire[from..to], &mut ReadBuf::new(&mut room)).map_err(|cause| cause.code())
            };
            let whole = wire.len();
            assert_eq!(open(0, whole, &mut wire), Ok(Opened::Used(2)));
            assert!(matches!(open(2, whole - 1, &mut wire), Ok(Opened::Need(_))), "its length alone is no end");
            if changed < 2 {
                assert_eq!(open(2, whole, &mut wire), Ok(Opened::End));
            } else {
                wire[changed] ^= 1;
                assert_eq!(open(2, whole, &mut wire), Err("protocol"), "{changed}");
            }
        }
    }
}

/// Every cipher and every packing, against the server that sends everything back.
#[tokio::test(start_paused = true)]
async fn datagrams_come_back() {
    for cipher in CIPHERS {
        for packet_encoding in [PacketEncoding::Xudp, PacketEncoding::None, PacketEncoding::PacketAddr] {
            if (cipher, packet_encoding) == (VmessCipher::Zero, PacketEncoding::Xudp) {
                // Without chunks the simple server below does not see where a frame begins.
                continue;
            }
            for (seed, most) in [(1, 1), (2, 3), (3, 100), (4, 64 * 1024)] {
                let (many, mut peers) = crate::testing::Many::new(seed, most);
                tokio::spawn(async move {
                    while let Some(io) = peers.recv().await {
                        tokio::spawn(peer::echo(ID, io));
                    }
                });
                let (carrier, tls) = (hezar_core::Carrier::plain(), crate::TlsClients::new(&[]).into());
                let connector = TransportConnector::new(&contract::target(), &carrier, Arc::new(many), &tls).unwrap();
                let settings = Vmess { id: ID, alter_id: 0, cipher, packet_encoding };
                let association =
                    datagram_contract::associate(&|connector| build(&settings, connector), connector).await;
                for target in ["1.2.3.4:53", "a.example:53", "[2001:db8::1]:443", "1.2.3.4:53"] {
                    let sizes: &[usize] = if most < 100 { &[5, 400] } else { &[5, 1200, 9000] };
                    for payload in sizes.iter().map(|size| vec![*size as u8; *size]) {
                        association.send_to(&payload, &datagram_contract::at(target)).await.unwrap();
                        let (found, from) = datagram_contract::next(&association).await.unwrap();
                        assert!(found == payload && from == target, "{cipher:?} {packet_encoding:?} {target} {from}");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn datagrams_that_no_chunk_holds_are_lost_alone() {
    let addressing = Addressing::One(contract::target());
    let stream_codec =
        super::codec(&User::new(&ID), BodyKind::Aes128Gcm, wire::Command::Datagrams(&contract::target())).unwrap();
    let mut codec = super::datagram::Codec { codec: stream_codec, addressing };
    let mut bytes = Vec::new();
    for payload in [&b""[..], &[0; MAX_PAYLOAD + 1]] {
        let error = codec.put(payload, &contract::target(), &mut bytes).unwrap_err();
        assert_eq!((error.kind(), bytes.len()), (std::io::ErrorKind::InvalidInput, 0));
    }
    assert!(codec.put(b"x", &datagram_contract::at("other.example:1"), &mut bytes).is_err());
    codec.put(&[0; MAX_PAYLOAD], &contract::target(), &mut bytes).unwrap();
    assert!(bytes.len() > MAX_PAYLOAD);
}

#[tokio::test(start_paused = true)]
async fn associations_name_what_went_wrong() {
    for packet_encoding in [PacketEncoding::Xudp, PacketEncoding::None] {
        let settings = Vmess { id: ID, alter_id: 0, cipher: VmessCipher::Auto, packet_encoding };
        let dialer = || |connector| build(&settings, connector);
        let end = datagram_contract::receives(dialer(), "a.example:1", b"", &[]).await;
        assert!(matches!(end, Cause::Closed), "{end:?}");
        let page = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        let end = datagram_contract::receives(dialer(), "a.example:1", page, &[]).await;
        assert!(matches!(end, Cause::Authentication), "{end:?}");
    }
}

proptest! {
    #[test]
    fn any_chunks_of_datagrams(bytes in proptest::collection::vec(any::<u8>(), 0..500), plain in any::<bool>()) {
        let kind = if plain { BodyKind::Plain } else { BodyKind::Aes128Gcm };
        let codec = super::codec(&User::new(&ID), kind, wire::Command::Mux).unwrap();
        datagram_contract::survives(super::datagram::Codec { codec, addressing: Addressing::Each }, bytes);
    }
}
