//! QUIC's integers of variable length (RFC 9000 §16).
//!
//! ```text
//! | length (2 bits: 1, 2, 4 or 8 bytes) | value, network order |
//! ```

/// Appends a value below 2⁶²; a greater one is cut down to the greatest.
pub(crate) fn put(value: u64, bytes: &mut Vec<u8>) {
    match value {
        0..=0x3f => bytes.extend_from_slice(&value.to_be_bytes()[7..]),
        0x40..=0x3fff => bytes.extend_from_slice(&(value | 0x4000).to_be_bytes()[6..]),
        0x4000..=0x3fff_ffff => bytes.extend_from_slice(&(value | 0x8000_0000).to_be_bytes()[4..]),
        _ => bytes.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Reads a value from the front of `bytes` and moves past it; `None` while it is incomplete.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let length = 1 << (first >> 6);
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let value = value.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    // The two highest of all bits are the length.
    Some(value & (u64::MAX >> (66 - 8 * length)))
}
