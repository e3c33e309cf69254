//! The headers of VMess with AEAD (v2fly.org/en_US/developer/protocols/vmess.html and the VMessAEAD proposal).
//!
//! ```text
//! request: | auth id | sealed length | connection nonce | sealed header | body …
//!          |   16    |    2 + 16     |        8         |    n + 16     |
//! auth id: AES-128( | unix seconds 8 | random 4 | CRC-32 of both 4 | )
//! header:  | version 1 | body nonce | body key | answer's mark | options | padding:cipher | 0 | command |
//!          |     1     |     16     |    16    |       1       |    1    |     4:4 bits   | 1 |    1    |
//!          | port | ATYP | address | padding | FNV-1a of all before |
//!          |  2   |  1   |   var   |  0..15  |          4           |
//! answer:  | sealed length | sealed header | body …
//!          |    2 + 16     |    n + 16     |
//! header:  | answer's mark | options | command | length m | m bytes |
//! ```

use aws_lc_rs::{
    aead::AES_128_GCM,
    cipher::{AES_128, EncryptingKey, UnboundCipherKey},
    digest::{SHA256, digest},
};
use hezar_core::Target;
use md5::{Digest, Md5};
use uuid::Uuid;

use super::{
    body::BodyKind,
    kdf::{derive_16, derive_nonce},
};
use crate::{
    Cause,
    io::aead::{AeadKey, TAG},
    protocol::address::{MAX_ADDRESS, put_v2ray},
};

const VERSION: u8 = 1;
/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command<'a> {
    /// A TCP stream to a target.
    Connect(&'a Target),
    /// Datagrams to and from a target, one in each chunk of the body.
    Datagrams(&'a Target),
    /// Frames of mux.cool; this request has no address.
    Mux,
}

impl Command<'_> {
    fn put(self, header: &mut Vec<u8>) {
        match self {
            Self::Connect(target) => {
                header.push(1);
                put_v2ray(target, header);
            }
            Self::Datagrams(target) => {
                header.push(2);
                put_v2ray(target, header);
            }
            Self::Mux => header.push(3),
        }
    }
}

/// The constant that the user id is hashed with.
const ID_SALT: &[u8] = b"c48619fe-8f02-49e0-b9e9-edf763e17e21";
/// The size of the encrypted length of the answer's header, in bytes.
pub(super) const SEALED_LENGTH: usize = 2 + TAG;
/// The longest header of an answer: mark, options, command, length, and 255 bytes.
const MAX_ANSWER_HEADER: usize = 4 + 255;

/// The keys of a user id, derived once per node.
#[derive(Clone)]
pub(super) struct User {
    command_key: [u8; 16],
    auth_key: [u8; 16],
}

impl User {
    /// Derives the keys of a user id.
    pub(super) fn new(id: &Uuid) -> Self {
        let command_key: [u8; 16] = Md5::new().chain_update(id.as_bytes()).chain_update(ID_SALT).finalize().into();
        Self { auth_key: derive_16(&command_key, &[b"AES Auth ID Encryption"]), command_key }
    }

    /// The auth id for a time in Unix seconds.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: the key and the block have AES's sizes.
    pub(super) fn auth_id(&self, now: u64, random: [u8; 4]) -> Result<[u8; 16], Cause> {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&now.to_be_bytes());
        block[8..12].copy_from_slice(&random);
        let sum = crc32fast::hash(&block[..12]);
        block[12..].copy_from_slice(&sum.to_be_bytes());
        UnboundCipherKey::new(&AES_128, &self.auth_key)
            .and_then(EncryptingKey::ecb)
            .and_then(|key| key.encrypt(&mut block))
            .map_err(|_| Cause::Unsupported("AES-128"))?;
        Ok(block)
    }
}

/// All random values of a request.
#[derive(Clone)]
pub(super) struct Random {
    /// Part of the auth id.
    pub(super) auth: [u8; 4],
    /// The nonce of the header's encryption.
    pub(super) connection_nonce: [u8; 8],
    /// The nonce of the request's body.
    pub(super) body_nonce: [u8; 16],
    /// The key of the request's body.
    pub(super) body_key: [u8; 16],
    /// The byte that the answer must repeat.
    pub(super) mark: u8,
    /// The padding of the header. Its first byte modulo 16 is its length.
    pub(super) padding: [u8; 16],
}

/// The encrypted request for a stream at `now`, in Unix seconds.
///
/// # Errors
/// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
pub(super) fn request(
    user: &User,
    kind: BodyKind,
    command: Command<'_>,
    now: u64,
    random: &Random,
) -> Result<Vec<u8>, Cause> {
    let header = request_header(kind, command, random);
    let auth_id = user.auth_id(now, random.auth)?;
    let nonce = &random.connection_nonce;
    let length = u16::try_from(header.len()).map_err(|_| Cause::Unsupported("a header of this length"))?;

    let mut bytes = Vec::with_capacity(16 + SEALED_LENGTH + nonce.len() + header.len() + TAG);
    bytes.extend_from_slice(&auth_id);
    bytes.extend_from_slice(&length.to_be_bytes());
    let path = |label: &'static [u8]| [label, &auth_id[..], &nonce[..]];
    let key = AeadKey::new(&AES_128_GCM, &derive_16(&user.command_key, &path(b"VMess Header AEAD Key_Length")))?;
    let iv = derive_nonce(&user.command_key, &path(b"VMess Header AEAD Nonce_Length"));
    key.seal(iv, &auth_id, &mut bytes, 16)?;
    bytes.extend_from_slice(nonce);
    let from = bytes.len();
    bytes.extend_from_slice(&header);
    let key = AeadKey::new(&AES_128_GCM, &derive_16(&user.command_key, &path(b"VMess Header AEAD Key")))?;
    let iv = derive_nonce(&user.command_key, &path(b"VMess Header AEAD Nonce"));
    key.seal(iv, &auth_id, &mut bytes, from)?;
    Ok(bytes)
}

fn request_header(kind: BodyKind, command: Command<'_>, random: &Random) -> Vec<u8> {
    let padding = random.padding[0] % 16;
    let mut header = Vec::with_capacity(1 + 16 + 16 + 5 + MAX_ADDRESS + 16 + 4);
    header.push(VERSION);
    header.extend_from_slice(&random.body_nonce);
    header.extend_from_slice(&random.body_key);
    header.extend_from_slice(&[random.mark, kind.options(), (padding << 4) | kind.cipher_code(), 0]);
    command.put(&mut header);
    // The length is taken from byte 0, so the padding itself is the bytes after it.
    header.extend_from_slice(&random.padding[1..=usize::from(padding)]);
    let sum = fnv1a(&header);
    header.extend_from_slice(&sum.to_be_bytes());
    header
}

/// FNV-1a, 32 bits.
pub(super) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The keys of the answer, derived from the key and the nonce of the request's body.
pub(super) struct ResponseKeys {
    /// The key of the answer's body.
    pub(super) body_key: [u8; 16],
    /// The nonce of the answer's body.
    pub(super) body_nonce: [u8; 16],
    mark: u8,
}

impl ResponseKeys {
    /// The keys of the answer to the request made with `random`.
    pub(super) fn for_request(random: &Random) -> Self {
        let half = |bytes: &[u8; 16]| {
            let mut half = [0; 16];
            half.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..16]);
            half
        };
        Self { body_key: half(&random.body_key), body_nonce: half(&random.body_nonce), mark: random.mark }
    }

    /// Decrypts the length of the header, which is [`SEALED_LENGTH`] bytes long.
    ///
    /// # Errors
    /// [`Cause::Authentication`] when it was not encrypted for this request, [`Cause::Protocol`] when it is too short or too long.
    pub(super) fn open_length(&self, sealed: &mut [u8]) -> Result<usize, Cause> {
        let plain = self.open(b"AEAD Resp Header Len Key", b"AEAD Resp Header Len IV", sealed)?;
        let length = plain.first_chunk().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
        if !(4..=MAX_ANSWER_HEADER).contains(&length) {
            return Err(Cause::Protocol("the length of the answer's header is out of range"));
        }
        Ok(length)
    }

    /// Decrypts the header and compares its mark. Its command, to move to another port, is ignored.
    ///
    /// # Errors
    /// [`Cause::Authentication`] when it was not encrypted for this request.
    pub(super) fn open_header(&self, sealed: &mut [u8]) -> Result<(), Cause> {
        let plain = self.open(b"AEAD Resp Header Key", b"AEAD Resp Header IV", sealed)?;
        if plain.first() != Some(&self.mark) {
            return Err(Cause::Authentication);
        }
        Ok(())
    }

    fn open<'a>(&self, key: &[u8], nonce: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], Cause> {
        let key = AeadKey::new(&AES_128_GCM, &derive_16(&self.body_key, &[key]))?;
        key.open(derive_nonce(&self.body_nonce, &[nonce]), &[], sealed).ok_or(Cause::Authentication)
    }
}
