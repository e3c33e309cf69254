//! The country database, written here byte by byte after the MMDB 2.0 specification.

use super::*;

/// A database in which one IPv4 network of 8 bits has a country.
fn database(network: u8, data: &[u8]) -> Vec<u8> {
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

const NESTED: &[u8] = b"\xe1\x47country\xe1\x48iso_code\x42DE";
const FLAT: &[u8] = b"\xe1\x4ccountry_code\x42nl";

#[test]
fn countries_are_found_and_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("country.mmdb");
    std::fs::write(&file, database(9, NESTED)).unwrap();
    let countries = Countries::open(&file).unwrap();
    assert_eq!(countries.country([9, 1, 2, 3].into()), Some(*b"DE"));
    assert_eq!(countries.country("::ffff:9.1.2.3".parse().unwrap()), Some(*b"DE"));
    assert_eq!(countries.country([10, 1, 2, 3].into()), None);
    assert_eq!(countries.country("2001:db8::1".parse().unwrap()), None);
    std::fs::write(&file, database(10, FLAT)).unwrap();
    std::fs::File::open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    countries.refresh();
    assert_eq!(countries.country([10, 1, 2, 3].into()), Some(*b"NL"));
    std::fs::write(&file, b"garbage").unwrap();
    countries.refresh();
    assert_eq!(countries.country([10, 1, 2, 3].into()), Some(*b"NL"), "garbage leaves the old one");
    assert!(Countries::open(&file).is_err());
}
