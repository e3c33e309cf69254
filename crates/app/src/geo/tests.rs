//! The country database, written here byte by byte after the MMDB 2.0 specification.

use std::time::SystemTime;

use super::*;
use crate::config::GeoConfig;

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
    let countries = Countries::open(Some(&file)).unwrap();
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
    assert!(Countries::open(Some(&file)).is_err());
    countries.replace(Countries::open(None).unwrap());
    countries.refresh();
    assert_eq!(countries.country([10, 1, 2, 3].into()), None);
}

#[test]
fn networks_and_cities_are_found_in_the_shapes_in_use() {
    use hezar_pool::{Atlas, CityKey};

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, data: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, database(9, data)).unwrap();
        Some(file)
    };
    let number: &[u8] = b"\xe1\x58autonomous_system_number\xc2\x34\x17";
    let text: &[u8] = b"\xe1\x43asn\x47AS13335";
    let nested: &[u8] = b"\xe1\x44city\xe1\x45names\xe1\x42en\x46Berlin";
    let flat: &[u8] = b"\xe1\x44city\x46Berlin";
    for (asn, city) in [(number, nested), (text, flat)] {
        let config =
            GeoConfig { asn_mmdb: write("asn.mmdb", asn), city_mmdb: write("city.mmdb", city), ..GeoConfig::default() };
        let networks = Networks::open(&config).unwrap().unwrap();
        let (inside, outside) = ([9, 1, 2, 3].into(), [10, 1, 2, 3].into());
        assert_eq!(networks.asn(inside).map(|asn| asn.get()), Some(13_335));
        assert_eq!(
            (networks.city(inside), networks.city_name(inside).as_deref()),
            (CityKey::from_name("berlin"), Some("Berlin"))
        );
        assert_eq!((networks.asn(outside), networks.city(outside)), (None, None));
        assert!(networks.knows_asn() && networks.knows_city());
    }
    assert!(Networks::open(&GeoConfig::default()).unwrap().is_none());
    let missing = GeoConfig { asn_mmdb: Some(folder.path().join("none.mmdb")), ..GeoConfig::default() };
    assert!(Networks::open(&missing).unwrap_err().to_string().contains("geo.asn_mmdb"));
}
