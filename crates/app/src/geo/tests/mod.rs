//! Databases of addresses are found, followed and exchanged.

mod mmdb;

use std::time::SystemTime;

use hezar_pool::{Pool, Rules};

use super::*;
use mmdb::database;

const NESTED: &[u8] = b"\xe1\x47country\xe1\x48iso_code\x42DE";
const FLAT: &[u8] = b"\xe1\x4ccountry_code\x42nl";

#[test]
fn countries_are_found_and_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("country.mmdb");
    std::fs::write(&file, database(9, NESTED)).unwrap();
    let config = GeoConfig { mmdb: Some(file.clone()), ..GeoConfig::default() };
    let pool = Pool::new(Rules::default());
    let countries = GeoLookup::new(GeoDatabases::open(&config).unwrap(), &pool);
    assert_eq!(countries.country([9, 1, 2, 3].into()), Some(*b"DE"));
    assert_eq!(countries.country("::ffff:9.1.2.3".parse().unwrap()), Some(*b"DE"));
    assert_eq!(countries.country([10, 1, 2, 3].into()), None);
    assert_eq!(countries.country("2001:db8::1".parse().unwrap()), None);
    std::fs::write(&file, database(10, FLAT)).unwrap();
    std::fs::File::open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    countries.refresh(&pool);
    assert_eq!(countries.country([10, 1, 2, 3].into()), Some(*b"NL"));
    std::fs::write(&file, b"garbage").unwrap();
    countries.refresh(&pool);
    assert_eq!(countries.country([10, 1, 2, 3].into()), Some(*b"NL"), "garbage leaves the old one");
    assert!(GeoDatabases::open(&config).is_err());
    countries.replace(GeoDatabases::open(&GeoConfig::default()).unwrap(), &pool);
    countries.refresh(&pool);
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
        let networks = Networks::open(&config).unwrap();
        let (inside, outside) = ([9, 1, 2, 3].into(), [10, 1, 2, 3].into());
        assert_eq!(networks.asn(inside).map(|asn| asn.get()), Some(13_335));
        assert_eq!(
            (networks.city(inside), networks.city_name(inside).as_deref()),
            (CityKey::from_name("berlin"), Some("Berlin"))
        );
        assert_eq!((networks.asn(outside), networks.city(outside)), (None, None));
        assert!(networks.knows_asn() && networks.knows_city());
    }
    let none = Networks::open(&GeoConfig::default()).unwrap();
    assert!(!none.knows_asn() && !none.knows_city());
    let missing = GeoConfig { asn_mmdb: Some(folder.path().join("none.mmdb")), ..GeoConfig::default() };
    assert!(Networks::open(&missing).unwrap_err().to_string().contains("geo.asn_mmdb"));
}

#[test]
fn the_country_of_a_relay_is_known_where_no_database_says_it() {
    let pool = Nodes::new(Rules::default());
    let lookup = GeoLookup::new(GeoDatabases::open(&GeoConfig::default()).unwrap(), &pool);
    let ip = "192.0.2.1".parse().unwrap();
    assert_eq!(lookup.country(ip), None);
    lookup.note_relay(ip, *b"DE");
    assert_eq!(lookup.country(ip), Some(*b"DE"));
}
