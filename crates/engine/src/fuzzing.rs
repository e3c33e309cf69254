//! Decoders that no stream reaches, for the fuzz targets.

use std::{fmt::Debug, hint::black_box};

use bytes::Bytes;

use crate::{http, protocol, quic, security, transport};

/// Decodes `data` as a whole and in pieces, whose size is its first byte and one more.
fn same_in_pieces<T: PartialEq + Debug>(data: &[u8], decode: impl Fn(&[u8], usize) -> T) {
    let piece = data.first().map_or(1, |byte| usize::from(*byte) + 1);
    assert_eq!(decode(data, piece), decode(data, usize::MAX), "it depends on the pieces");
}

/// Reads what stands behind the first byte as one record, and in records of a size that is this byte and one more.
fn same_end_in_records(data: &[u8], read: impl Fn(&[u8], usize) -> Option<usize>) {
    let [size, data @ ..] = data else { return };
    let (whole, pieces) = (read(data, usize::MAX), read(data, usize::from(*size) + 1));
    assert_eq!(whole.is_some(), pieces.is_some(), "it depends on the pieces");
}

/// The answer of an HTTP server that is read leniently. The first byte is also the size of pieces.
pub fn http_answer(data: &[u8]) {
    same_in_pieces(data, http::decode_answer);
}

/// The answers and datagrams of a Hysteria 2 server.
pub fn hysteria2(data: &[u8]) {
    black_box(protocol::hysteria2::decode(&Bytes::copy_from_slice(data)));
}

/// The requests and datagrams of a Hysteria 2 client. The first byte is also the size of pieces.
pub fn server_hysteria2(data: &[u8]) {
    same_in_pieces(data, protocol::hysteria2::decode_request);
    black_box(protocol::hysteria2::decode(&Bytes::copy_from_slice(data)));
}

/// The packets of a TUIC server.
pub fn tuic(data: &[u8]) {
    black_box(protocol::tuic::decode(&Bytes::copy_from_slice(data)));
}

/// The frames of an AnyTLS server, and the padding scheme that it may send.
pub fn anytls(data: &[u8]) {
    protocol::anytls::decode(data);
}

/// What comes back through a Shadowsocks plugin; the first byte chooses it.
pub fn plugins(data: &[u8]) {
    protocol::shadowsocks::decode_plugins(data);
}

/// The records of a TLS server after its handshake. The first byte is also the size of pieces.
pub fn tls(data: &[u8]) {
    same_in_pieces(data, security::decode_records);
}

/// What clients of a TLS server say: in the handshake, and in records after it. The first byte is also the size of pieces.
pub fn server_tls(data: &[u8]) {
    same_in_pieces(data, security::decode_for_tls_server);
    same_in_pieces(data, security::decode_client_records);
}

/// What clients of a Trojan server say. The first byte is also the size of pieces.
pub fn server_trojan(data: &[u8]) {
    same_in_pieces(data, protocol::trojan::server::decode);
}

/// What clients of an AnyTLS server say. The first byte is also the size of pieces.
pub fn server_anytls(data: &[u8]) {
    same_in_pieces(data, protocol::anytls::server::decode);
}

/// Records that rustls seals and opens beside us.
pub fn tls_records(data: &[u8]) {
    security::compare_records(data);
}

/// What a ShadowTLS server sends, during the handshake and after it. The first byte is also the size of pieces.
pub fn shadow_tls(data: &[u8]) {
    same_in_pieces(data, security::decode_shadow_tls);
}

/// The settings of VLESS encryption, its records and their masked headers. The first byte is also the size of pieces.
pub fn encryption(data: &[u8]) {
    same_in_pieces(data, protocol::vless::decode_encryption);
}

/// Packets out of a WireGuard tunnel: each has its length in front.
pub fn tunnel(data: &[u8]) {
    protocol::wireguard::decode(data);
}

/// An answer of HTTP/3; the first byte is the size of pieces.
pub fn http3(data: &[u8]) {
    let [piece, data @ ..] = data else { return };
    let whole = transport::decode_http3(data, usize::MAX);
    assert_eq!(transport::decode_http3(data, usize::from(*piece)), whole, "it depends on the pieces");
}

/// Packets under a disguise, and what comes out of them.
pub fn disguise(data: &[u8]) {
    quic::uncover(data);
}

/// Pieces of packets: each has a number, an index, a count and a length in front.
pub fn fragments(data: &[u8]) {
    let mut fragments = quic::fragments::Fragments::default();
    let mut rest = data;
    while let Some((&[id, index, count, length], after)) = rest.split_first_chunk::<4>() {
        let (piece, after) = after.split_at(usize::from(length).min(after.len()));
        black_box(fragments.take(id.into(), index, count, Bytes::copy_from_slice(piece)));
        rest = after;
    }
}

/// What a REALITY server shows: its certificate, and the answer to our hello. The first byte is also the size of pieces.
pub fn reality(data: &[u8]) {
    black_box(security::read_reality_certificate(data));
    same_in_pieces(data, security::find_server_hello);
}

/// What comes to a REALITY server: a client's hello, and the answer of the site to it. The first byte is also the size of pieces.
pub fn server_reality(data: &[u8]) {
    same_in_pieces(data, security::decode_for_reality_server);
}

/// What clients of Shadowsocks send in a stream. The first byte is also the size of pieces.
pub fn server_shadowsocks(data: &[u8]) {
    same_in_pieces(data, protocol::shadowsocks::server::read_streams);
}

/// Packets of clients of Shadowsocks.
pub fn server_shadowsocks_udp(data: &[u8]) {
    protocol::shadowsocks::server::read_packets(data);
}

/// An answer with Vision for the user with the id 0. The first byte is the size of the records.
pub fn vision(data: &[u8]) {
    same_end_in_records(data, protocol::vless::read_vision_answer);
}

/// Payload of a client with Vision, whose id is 0. The first byte is the size of the records.
pub fn server_vision(data: &[u8]) {
    same_end_in_records(data, protocol::vless::read_vision_payload);
}
