//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): ChaCha20-Poly1305 with a 24-byte nonce, whose first 16 bytes derive the key.

use aws_lc_rs::aead::CHACHA20_POLY1305;

use crate::{
    Cause,
    io::aead::{AeadKey, NonceBytes},
};

/// The length of the nonce.
pub(super) const NONCE: usize = 24;

/// Encrypts `wire[from..]` in place and appends the tag.
///
/// # Errors
/// [`Cause::Unsupported`] for a key that is not 32 bytes long.
pub(super) fn seal(key: &[u8], nonce: &[u8; NONCE], wire: &mut Vec<u8>, from: usize) -> Result<(), Cause> {
    let (key, nonce) = inner(key, nonce)?;
    key.seal(nonce, &[], wire, from)
}

/// Decrypts text and tag in place.
pub(super) fn open<'a>(key: &[u8], nonce: &[u8; NONCE], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let (key, nonce) = inner(key, nonce).ok()?;
    key.open(nonce, &[], sealed)
}

fn inner(key: &[u8], nonce: &[u8; NONCE]) -> Result<(AeadKey, NonceBytes), Cause> {
    let key: &[u8; 32] = key.try_into().map_err(|_| Cause::Unsupported("an AEAD key of this length"))?;
    let (front, back) = nonce.split_at(16);
    let mut short = NonceBytes::default();
    short[4..].copy_from_slice(back);
    Ok((AeadKey::new(&CHACHA20_POLY1305, &hchacha20(key, front))?, short))
}

/// The first and last rows of ChaCha20's state after its rounds, without the final addition.
pub(super) fn hchacha20(key: &[u8; 32], nonce: &[u8]) -> [u8; 32] {
    let mut state = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let words = key.chunks_exact(4).chain(nonce.chunks_exact(4));
    for (slot, bytes) in state.iter_mut().skip(4).zip(words) {
        *slot = bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    }
    for _ in 0..10 {
        for column in 0..4 {
            quarter(&mut state, [column, 4 + column, 8 + column, 12 + column]);
        }
        for column in 0..4 {
            quarter(&mut state, [column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4]);
        }
    }
    let mut out = [0; 32];
    for (bytes, word) in out.chunks_exact_mut(4).zip(state[..4].iter().chain(&state[12..])) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    out
}

fn quarter(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (turn, other) in [(16, 12), (8, 7)] {
        state[a] = state[a].wrapping_add(state[b]);
        state[d] = (state[d] ^ state[a]).rotate_left(turn);
        state[c] = state[c].wrapping_add(state[d]);
        state[b] = (state[b] ^ state[c]).rotate_left(other);
    }
}
