//! Small databases, written byte by byte after the MMDB 2.0 specification.

/// A database in which one IPv4 network of 8 bits has these data.
pub(crate) fn database(network: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let nodes = 8_u32;
    for bit in 0..8_u32 {
        let next = if bit == 7 { nodes + 16 } else { bit + 1 };
        let one = network >> (7 - bit) & 1 == 1;
        let (left, right) = if one { (nodes, next) } else { (next, nodes) };
        bytes.extend_from_slice(&left.to_be_bytes()[1..]);
        bytes.extend_from_slice(&right.to_be_bytes()[1..]);
    }
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com\xe9");
    let mut entry = |key: &str, value: &[u8]| {
        bytes.push(0x40 | key.len() as u8);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(value);
    };
    entry("node_count", &[0xc1, nodes as u8]);
    entry("record_size", &[0xa1, 24]);
    entry("ip_version", &[0xa1, 4]);
    entry("database_type", b"\x44Test");
    entry("languages", &[0x00, 0x04]);
    entry("binary_format_major_version", &[0xa1, 2]);
    entry("binary_format_minor_version", &[0xa0]);
    entry("build_epoch", &[0x01, 0x02, 1]);
    entry("description", &[0xe0]);
    // The size of a text up to 28 bytes stands in its first byte.
    bytes
}
