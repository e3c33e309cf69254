//! What clients send, for the fuzz targets: any bytes, and any texts under keys that fit.

use std::{hint::black_box, net::SocketAddr};

use hezar_core::Target;

use super::{
    super::{
        aead2017::{seal_packet, session_key},
        aead2022::{Keys, REQUEST},
        packet2022::PacketSession,
        wire::{Aead, Sealer, password_key},
    },
    Edition, ShadowsocksServer,
    opening::{Destination, Step},
    udp::Table,
    udp2022,
};
use crate::served::{CredentialId, InboundKey, Keyring, KeyringKind, StrangerReason};

/// The time of this module, in Unix seconds.
const NOW: u64 = 1_800_000_000;
/// The key of the server and of its only user, base64 and bytes.
const KEY: (&str, [u8; 16]) = ("AQEBAQEBAQEBAQEBAQEBAQ==", [1; 16]);

fn server(method: &str) -> Option<(ShadowsocksServer, Keyring)> {
    let kind = if method.starts_with("2022") { KeyringKind::Shadowsocks2022 } else { KeyringKind::Shadowsocks };
    let keyring = Keyring::new(kind, [(CredentialId(0), InboundKey::new(KEY.1))]);
    Some((ShadowsocksServer::with_clock(method, KEY.0, || NOW).ok()?, keyring))
}

/// Target (none for datagrams), payload and used bytes of a request, or why it is a stranger's; nothing while it is not whole.
type Outcome = Option<Result<(Option<Target>, Vec<u8>, usize), StrangerReason>>;

/// Reads the openings of streams in pieces: the bytes as they are, and as the text of a request.
pub(crate) fn read_streams(data: &[u8], piece: usize) -> Vec<Outcome> {
    let sealed = [("aes-128-gcm", sealed_2017(data)), ("2022-blake3-aes-128-gcm", sealed_2022(data))];
    let methods = ["aes-128-gcm", "2022-blake3-aes-128-gcm", "2022-blake3-chacha20-poly1305"];
    let plain = methods.into_iter().map(|method| (method, Some(data.to_vec())));
    plain.chain(sealed).map(|(method, wire)| read(method, &wire?, piece)).collect()
}

fn read(method: &str, wire: &[u8], piece: usize) -> Outcome {
    let (server, keyring) = server(method)?;
    let mut reader = server.reader();
    let mut received = Vec::new();
    for bytes in wire.chunks(piece.max(1)) {
        received.extend_from_slice(bytes);
        match reader.step(&server, &keyring, &mut received) {
            Ok(Step::Need(length)) => assert!(length > received.len(), "{length} of {}", received.len()),
            Ok(Step::Open(request)) => {
                let target = match request.destination {
                    Destination::Stream(target) => Some(target),
                    Destination::Datagrams => None,
                };
                return Some(Ok((target, request.payload, request.used)));
            }
            Err(why) => return Some(Err(why)),
        }
    }
    None
}

/// Chunks whose lengths are the bytes in front of them.
fn sealed_2017(data: &[u8]) -> Option<Vec<u8>> {
    let mut wire = vec![7; 16];
    let mut sealer = Sealer::new(Aead::Aes128Gcm, &session_key(&password_key(KEY.1, 16), &wire).ok()?).ok()?;
    let mut rest = data;
    while let Some((length, after)) = rest.split_first() {
        let (chunk, after) = after.split_at(usize::from(*length).min(after.len()));
        sealer.seal_chunk(&[chunk], &mut wire).ok()?;
        rest = after;
    }
    Some(wire)
}

/// A request whose header of variable length is these bytes.
fn sealed_2022(data: &[u8]) -> Option<Vec<u8>> {
    let keys = keys()?;
    let mut wire = vec![7; 16];
    let mut sealer = keys.sealer(&wire).ok()?;
    keys.put_identities(&wire.clone(), &mut wire).ok()?;
    let from = wire.len();
    wire.push(REQUEST);
    wire.extend_from_slice(&NOW.to_be_bytes());
    wire.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
    sealer.seal(&mut wire, from).ok()?;
    let from = wire.len();
    wire.extend_from_slice(data);
    sealer.seal(&mut wire, from).ok()?;
    Some(wire)
}

fn keys() -> Option<Keys> {
    Keys::new(Aead::Aes128Gcm, &format!("{0}:{0}", KEY.0)).ok()
}

/// Reads packets: the bytes as they are, and as the text of a packet.
pub(crate) fn read_packets(data: &[u8]) {
    for method in ["aes-128-gcm", "2022-blake3-aes-128-gcm", "2022-blake3-chacha20-poly1305"] {
        black_box(take(method, data.to_vec()));
    }
    let mut wire = Vec::new();
    let key = password_key(KEY.1, 16);
    if seal_packet(Aead::Aes128Gcm, &key, &[7; 16], &[data], &mut wire).is_ok() {
        black_box(take("aes-128-gcm", wire));
    }
    black_box(sealed_packet_2022(data).and_then(|wire| take("2022-blake3-aes-128-gcm", wire)));
    if let Some((server, _)) = server("2022-blake3-aes-128-gcm")
        && let Edition::Aead2022(rules) = &server.0.edition
    {
        black_box(udp2022::check(rules, data));
    }
}

fn sealed_packet_2022(data: &[u8]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    let mut session = PacketSession::new(keys()?, [3; 8], || NOW).ok()?;
    session.seal(&[data], &[], [0; 24], &mut wire).ok()?;
    Some(wire)
}

fn take(method: &str, mut packet: Vec<u8>) -> Option<CredentialId> {
    let (server, keyring) = server(method)?;
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut table = Table::new(&server);
    let credential = table.open(&server, &keyring, &mut packet, from, NOW)?.credential;
    Some(credential)
}
