//! The networks and the cities of exits, from databases in the MaxMind format.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf};

use hezar_pool::{Atlas, CityKey};
use maxminddb::PathElement;

use super::database::{Database, Place};
use crate::config::GeoConfig;

/// Where the databases in use keep the number: MaxMind and DB-IP, then IPinfo, which writes `AS13335`.
const ASN: [Place; 2] = [&[PathElement::Key("autonomous_system_number")], &[PathElement::Key("asn")]];
/// Where they keep the name of the city: MaxMind and DB-IP, then IPinfo.
const CITY: [Place; 2] =
    [&[PathElement::Key("city"), PathElement::Key("names"), PathElement::Key("en")], &[PathElement::Key("city")]];

/// The databases, each of which may be absent.
#[derive(Debug)]
pub(super) struct Networks {
    asn: Option<Database>,
    city: Option<Database>,
}

impl Networks {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn open(config: &GeoConfig) -> anyhow::Result<Self> {
        let open =
            |file: &Option<PathBuf>, what, key| file.as_deref().map(|file| Database::open(file, what, key)).transpose();
        let asn = open(&config.asn_mmdb, "network", "geo.asn_mmdb")?;
        let city = open(&config.city_mmdb, "city", "geo.city_mmdb")?;
        Ok(Self { asn, city })
    }

    /// The name of the city that an address is in, in English.
    pub(super) fn city_name(&self, ip: IpAddr) -> Option<String> {
        self.city.as_ref()?.text(ip, &CITY)
    }

    /// Reads the files again that have changed; says whether any was.
    pub(super) fn refresh(&self) -> bool {
        [&self.asn, &self.city].into_iter().flatten().filter(|file| file.refresh()).count() > 0
    }
}

impl Atlas for Networks {
    fn asn(&self, ip: IpAddr) -> Option<NonZeroU32> {
        let database = self.asn.as_ref()?;
        let written = || database.text(ip, &ASN)?.strip_prefix("AS")?.parse().ok();
        NonZeroU32::new(database.number(ip, &ASN).or_else(written)?)
    }

    fn city(&self, ip: IpAddr) -> Option<CityKey> {
        self.city_name(ip).as_deref().and_then(CityKey::from_name)
    }

    fn knows_asn(&self) -> bool {
        self.asn.is_some()
    }

    fn knows_city(&self) -> bool {
        self.city.is_some()
    }
}
