//! The key derivation of VMess AEAD: HMAC-SHA-256 nested once per element of a path.
//!
//! `H0(m) = HMAC-SHA-256("VMess AEAD KDF", m)`; `Hn` is HMAC with `Hn-1` as its hash function, the block size of
//! SHA-256, and the n-th element of the path as its key. The derived key is `Hn(key)`.

use std::sync::LazyLock;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};

use crate::io::aead::NonceBytes;

const BLOCK: usize = 64;
static ROOT: LazyLock<Key> = LazyLock::new(|| Key::new(HMAC_SHA256, b"VMess AEAD KDF"));

/// Derives 32 bytes. The elements of the path are at most 64 bytes long.
pub(super) fn derive(key: &[u8], path: &[&[u8]]) -> [u8; 32] {
    nested(path, &[key])
}

/// The first 16 of the derived bytes.
pub(super) fn derive_16(key: &[u8], path: &[&[u8]]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&derive(key, path)[..16]);
    short
}

/// The first 12 of the derived bytes.
pub(super) fn derive_nonce(key: &[u8], path: &[&[u8]]) -> NonceBytes {
    let mut short = NonceBytes::default();
    short.copy_from_slice(&derive(key, path)[..12]);
    short
}

/// The hash at the depth of the path's length, over the parts one after the other.
fn nested(path: &[&[u8]], parts: &[&[u8]]) -> [u8; 32] {
    let Some((&last, rest)) = path.split_last() else {
        let mut context = Context::with_key(&ROOT);
        parts.iter().for_each(|part| context.update(part));
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        return hash;
    };
    let (mut inner, mut outer) = ([0x36; BLOCK], [0x5c; BLOCK]);
    for (i, &byte) in last.iter().take(BLOCK).enumerate() {
        inner[i] ^= byte;
        outer[i] ^= byte;
    }
    let hash = match parts {
        [one] => nested(rest, &[&inner, one]),
        [one, two] => nested(rest, &[&inner, one, two]),
        _ => nested(rest, &[&inner, &parts.concat()]),
    };
    nested(rest, &[&outer, &hash])
}
