//! The hash of names (servers, sessions, sites) and the stream of numbers grown from one random seed.

use std::hash::{Hash, Hasher};

/// The hash of a name for [`Query::session`](crate::Query::session) and [`Query::site`](crate::Query::site): the first
/// 64 bits of BLAKE3, so that nobody finds a name that collides with another one's.
#[must_use]
pub fn hash_key<T: Hash + ?Sized>(name: &T) -> u64 {
    let mut hasher = KeyHasher::default();
    name.hash(&mut hasher);
    hasher.finish()
}

/// BLAKE3 behind the interface of the standard library.
#[derive(Default)]
struct KeyHasher(blake3::Hasher);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }
}

/// Numbers grown from one seed (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 up to 1.
    pub(crate) const fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// A number below `bound`, which is at least 1 (Lemire's multiplication; its bias is below 2^-32 here).
    pub(crate) const fn below(&mut self, bound: usize) -> usize {
        ((self.next() as u128 * bound as u128) >> 64) as usize
    }
}

/// Spreads every input bit over every output bit.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_everywhere_and_that_of_blake3() {
        let expected = blake3::hash(b"example.com\xff");
        assert_eq!(hash_key("example.com").to_le_bytes(), expected.as_bytes()[..8]);
        assert_ne!(hash_key(&("ab", "c")), hash_key(&("a", "bc")));
    }
}
