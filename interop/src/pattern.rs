//! Bytes in which any loss, swap or repetition shows.

use std::sync::LazyLock;

/// The largest transfer.
pub const LARGE: usize = 8 << 20;

/// The first bytes, at most [`LARGE`], of a sequence in which any loss, swap or repetition shows.
#[must_use]
pub fn pattern(length: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut state = 0x2545_f491_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..LARGE).map(next).collect()
    });
    BYTES.get(..length).unwrap_or(&BYTES)
}
