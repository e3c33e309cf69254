//! simple-obfs in TLS mode: bytes that look like TLS 1.2 and are not encrypted. Our first payload is in the session ticket
//! of the hello, the server's first payload in an invented handshake record, and the rest in application data records.
//!
//! ```text
//! → | 16 03 01 n | 01 00 n | 03 03 | random 32 | 20 session 32 | ciphers | 01 00 | n | ticket: payload | SNI | others |
//! ← | 16 03 01 n | a server hello | | 14 03 03 00 01 01 | | 16 03 03 n | payload |
//! ⇄ | 17 03 03 n | payload |
//! ```

use tokio::io::ReadBuf;

use crate::{
    Cause,
    io::codec_stream::{Codec, Opened},
};

/// The most payload in one record.
const MAX_PAYLOAD: usize = 16 * 1024;
/// The most payload in the hello, in bytes: the whole hello must fit into one record.
const MAX_TICKET: usize = 15 * 1024;
/// The longest name in a hello.
const MAX_HOST: usize = 255;
/// The length of a record's header: type, version and length.
const RECORD_HEADER: usize = 5;
/// The types of records.
const CHANGE_CIPHER: u8 = 0x14;
const HANDSHAKE: u8 = 0x16;
const DATA: u8 = 0x17;

/// The cipher suites of OpenSSL 1.0.2, which other clients offer in this disguise.
const CIPHERS: [u16; 28] = [
    0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x009e, 0xc024, 0xc028, 0x006b, 0xc023, 0xc027,
    0x0067, 0xc00a, 0xc014, 0x0039, 0xc009, 0xc013, 0x0033, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f, 0x00ff,
];
/// EC point formats, groups, signature algorithms, encrypt-then-MAC, extended master secret.
const EXTENSIONS: [(u16, &[u8]); 5] = [
    (0x000b, &[3, 1, 0, 2]),
    (0x000a, &[0, 8, 0, 0x1d, 0, 0x17, 0, 0x19, 0, 0x18]),
    (0x000d, &[0, 30, 6, 1, 6, 2, 6, 3, 5, 1, 5, 2, 5, 3, 4, 1, 4, 2, 4, 3, 3, 1, 3, 2, 3, 3, 2, 1, 2, 2, 2, 3]),
    (0x0016, &[]),
    (0x0017, &[]),
];

/// What the next record of the answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    ServerHello,
    ChangeCipher,
    FirstPayload,
    Data,
}

/// Encodes and decodes one connection.
pub(super) struct ObfsTlsCodec {
    host: Vec<u8>,
    now: u32,
    random: [u8; 28],
    id: [u8; 32],
    greeted: bool,
    expect: Expect,
    /// How many bytes of payload of the current record are still to come.
    left: usize,
}

impl ObfsTlsCodec {
    /// A connection that seems to go to `host`; `now` in Unix seconds.
    pub(super) fn new(host: &str, now: u32, random: [u8; 28], id: [u8; 32]) -> Self {
        let host = host.bytes().take(MAX_HOST).collect();
        Self { host, now, random, id, greeted: false, expect: Expect::ServerHello, left: 0 }
    }

    /// The hello with the first payload as its session ticket.
    fn hello(&self, payload: &[u8], wire: &mut Vec<u8>) {
        let mut extensions = Vec::with_capacity(payload.len() + self.host.len() + 128);
        extension(&mut extensions, 0x0023, payload);
        let mut name = Vec::with_capacity(self.host.len() + 5);
        put_u16(&mut name, self.host.len() + 3);
        name.push(0);
        put_u16(&mut name, self.host.len());
        name.extend_from_slice(&self.host);
        extension(&mut extensions, 0x0000, &name);
        for (kind, body) in EXTENSIONS {
            extension(&mut extensions, kind, body);
        }
        let body = 2 + 32 + 33 + 2 + CIPHERS.len() * 2 + 2 + 2 + extensions.len();
        record(wire, HANDSHAKE, 1, body + 4);
        wire.extend_from_slice(&[1, 0]);
        put_u16(wire, body);
        wire.extend_from_slice(&[3, 3]);
        wire.extend_from_slice(&self.now.to_be_bytes());
        wire.extend_from_slice(&self.random);
        wire.push(32);
        wire.extend_from_slice(&self.id);
        put_u16(wire, CIPHERS.len() * 2);
        CIPHERS.iter().for_each(|cipher| wire.extend_from_slice(&cipher.to_be_bytes()));
        wire.extend_from_slice(&[1, 0]);
        put_u16(wire, extensions.len());
        wire.extend_from_slice(&extensions);
    }

    /// Reads a record's header.
    fn header(&mut self, kind: u8, major: u8, length: usize) -> Result<Opened, Cause> {
        let (expected, next) = match self.expect {
            Expect::ServerHello => (HANDSHAKE, Expect::ChangeCipher),
            Expect::ChangeCipher => (CHANGE_CIPHER, Expect::FirstPayload),
            Expect::FirstPayload => (HANDSHAKE, Expect::Data),
            Expect::Data => (DATA, Expect::Data),
        };
        if kind != expected || major != 3 {
            return Err(Cause::Protocol("a record is not what the TLS disguise has there"));
        }
        let skipped = matches!(self.expect, Expect::ServerHello | Expect::ChangeCipher);
        if skipped && length > 1024 {
            return Err(Cause::Protocol("the made-up handshake is too long"));
        }
        self.expect = next;
        self.left = if skipped { 0 } else { length };
        Ok(Opened::Used(RECORD_HEADER + if skipped { length } else { 0 }))
    }
}

impl Codec for ObfsTlsCodec {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        let most = if self.greeted { MAX_PAYLOAD } else { MAX_TICKET };
        let piece = payload.get(..payload.len().min(most)).unwrap_or_default();
        if self.greeted {
            record(wire, DATA, 3, piece.len());
            wire.extend_from_slice(piece);
        } else {
            self.greeted = true;
            self.hello(piece, wire);
        }
        Ok(piece.len())
    }

    /// The disguise has no sign of an end.
    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        if !self.greeted {
            self.seal(&[], wire)?;
        }
        Ok(())
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        if self.left > 0 {
            let length = self.left.min(wire.len()).min(out.remaining());
            if length == 0 {
                return Ok(Opened::Need(1));
            }
            out.put_slice(wire.get(..length).unwrap_or_default());
            self.left -= length;
            return Ok(Opened::Used(length));
        }
        let Some(&[kind, major, _, high, low]) = wire.first_chunk() else { return Ok(Opened::Need(RECORD_HEADER)) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let skipped = matches!(self.expect, Expect::ServerHello | Expect::ChangeCipher);
        if skipped && length <= 1024 && wire.len() < RECORD_HEADER + length {
            return Ok(Opened::Need(RECORD_HEADER + length));
        }
        self.header(kind, major, length)
    }

    fn may_end(&self) -> bool {
        self.left == 0 && self.expect == Expect::Data
    }
}

fn record(wire: &mut Vec<u8>, kind: u8, minor: u8, length: usize) {
    wire.extend_from_slice(&[kind, 3, minor]);
    put_u16(wire, length);
}

fn extension(wire: &mut Vec<u8>, kind: u16, body: &[u8]) {
    wire.extend_from_slice(&kind.to_be_bytes());
    put_u16(wire, body.len());
    wire.extend_from_slice(body);
}

/// Appends a length. All lengths here are far below 64 KiB.
fn put_u16(wire: &mut Vec<u8>, value: usize) {
    wire.extend_from_slice(&u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes());
}
