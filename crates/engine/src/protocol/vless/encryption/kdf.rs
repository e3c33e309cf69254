//! The key derivation of BLAKE3 with a context of any bytes. The `blake3` crate takes only text as a context, as the
//! specification recommends; VLESS encryption uses keys and nonces.

use blake3::{Hasher, hazmat::HasherExt};

const BLOCK: usize = 64;
const CHUNK: usize = 1024;

const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 1 << 1;
const PARENT: u32 = 1 << 2;
const ROOT: u32 = 1 << 3;
const CONTEXT: u32 = 1 << 5;

/// The initial words, those of SHA-256.
const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The permutation of the words of a block after each round.
const ORDER: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

/// Derives a key from `material` for `context`.
pub(super) fn derive(context: &[u8], material: &[u8]) -> [u8; 32] {
    let context = bytes_of(&tree(context, 0, ROOT));
    *Hasher::new_from_context_key(&context).update(material).finalize().as_bytes()
}

fn bytes_of(words: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The chaining value of a part of the context that begins at chunk `number`. The depth of the recursion is the logarithm of
/// the part's length.
fn tree(input: &[u8], number: u64, root: u32) -> [u32; 8] {
    if input.len() <= CHUNK {
        return chunk(input, number, root);
    }
    // The left part is the largest power of two of whole chunks that leaves something to the right.
    let chunks = input.len().div_ceil(CHUNK).next_power_of_two() / 2;
    let (left, right) = input.split_at(chunks * CHUNK);
    let mut block = [0; 16];
    block[..8].copy_from_slice(&tree(left, number, 0));
    block[8..].copy_from_slice(&tree(right, number + chunks as u64, 0));
    compress(&IV, block, 0, 64, PARENT | root | CONTEXT)
}

fn chunk(input: &[u8], number: u64, root: u32) -> [u32; 8] {
    let last = input.len().saturating_sub(1) / BLOCK;
    let mut value = IV;
    for index in 0..=last {
        let bytes = input.get(index * BLOCK..input.len().min((index + 1) * BLOCK)).unwrap_or_default();
        let mut padded = [0; BLOCK];
        padded[..bytes.len()].copy_from_slice(bytes);
        let mut block = [0; 16];
        for (word, bytes) in block.iter_mut().zip(padded.chunks_exact(4)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        let start = if index == 0 { CHUNK_START } else { 0 };
        let end = if index == last { CHUNK_END | root } else { 0 };
        value = compress(&value, block, number, bytes.len() as u32, start | end | CONTEXT);
    }
    value
}

fn compress(value: &[u32; 8], mut block: [u32; 16], number: u64, length: u32, flags: u32) -> [u32; 8] {
    let mut state = [0; 16];
    state[..8].copy_from_slice(value);
    state[8..12].copy_from_slice(&IV[..4]);
    state[12..].copy_from_slice(&[number as u32, (number >> 32) as u32, length, flags]);
    for round in 0..7 {
        if round > 0 {
            block = ORDER.map(|place| block[place]);
        }
        for (step, [a, b, c, d]) in MIXED.into_iter().enumerate() {
            mix(&mut state, [a, b, c, d], block[2 * step], block[2 * step + 1]);
        }
    }
    std::array::from_fn(|place| state[place] ^ state[place + 8])
}

/// Columns, then diagonals.
const MIXED: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

fn mix(state: &mut [u32; 16], [a, b, c, d]: [usize; 4], x: u32, y: u32) {
    for (word, by_d, by_b) in [(x, 16, 12), (y, 8, 7)] {
        state[a] = state[a].wrapping_add(state[b]).wrapping_add(word);
        state[d] = (state[d] ^ state[a]).rotate_right(by_d);
        state[c] = state[c].wrapping_add(state[d]);
        state[b] = (state[b] ^ state[c]).rotate_right(by_b);
    }
}
