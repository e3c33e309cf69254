//! Flights and answers for tests.

/// What OpenSSL sends for example.com with TLS 1.2 (a whole record, 182 bytes).
pub(crate) fn openssl() -> Vec<u8> {
    let hex = "16030100b1010000ad030387f09d1c38d8c3fa3ba2a82197296430a9f659060817bbe14e1183669122544500001ec02cc030\
        c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100006600000010000e00000b6578616d706c652e636f6d\
        000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d002a00280403050306030807\
        08080809080a080b080408050806040105010601030303010302040205020602";
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A ClientHello with these extensions and so many bytes of padding.
pub(crate) fn hello(extensions: &[u16], padding: usize) -> Vec<u8> {
    let mut list = Vec::new();
    for kind in extensions {
        list.extend(kind.to_be_bytes());
        list.extend([0, 2, 7, 7]);
    }
    list.extend([&[0, 21][..], &(padding as u16).to_be_bytes(), &vec![0; padding]].concat());
    let body =
        [&[3, 3][..], &[9; 32], &[1, 5, 0, 2, 0x13, 1, 1, 0], &(list.len() as u16).to_be_bytes(), &list].concat();
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1, length[1], length[2], length[3]][..], &body].concat();
    records(&message, 1 << 14)
}

/// A handshake message in records of at most `most` bytes.
pub(crate) fn records(message: &[u8], most: usize) -> Vec<u8> {
    let record = |piece: &[u8]| [&[22, 3, 1][..], &(piece.len() as u16).to_be_bytes(), piece].concat();
    message.chunks(most).flat_map(record).collect()
}

/// The beginning of a server's answer: a whole record with a (short) ServerHello.
pub(crate) const SERVER_HELLO: &[u8] = b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03";
/// A GET without a body.
pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// A POST with one.
pub(crate) const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
/// An answer to both.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
