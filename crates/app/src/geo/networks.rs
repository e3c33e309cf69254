//! The networks and the cities of exits, from databases in the MaxMind format.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use hezar_pool::{Atlas, CityKey};
use maxminddb::PathElement;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::database::{Database, Place};
use crate::{config::GeoConfig, nodes::Nodes};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// Where the databases in use keep the number: MaxMind and DB-IP, then IPinfo, which writes `AS13335`.
const ASN: [Place; 2] = [&[PathElement::Key("autonomous_system_number")], &[PathElement::Key("asn")]];
/// Where they keep the name of the city: MaxMind and DB-IP, then IPinfo.
const CITY: [Place; 2] =
    [&[PathElement::Key("city"), PathElement::Key("names"), PathElement::Key("en")], &[PathElement::Key("city")]];

/// The databases, each of which may be absent.
#[derive(Debug)]
pub(crate) struct Networks {
    asn: Option<Database>,
    city: Option<Database>,
}

impl Networks {
    /// Reads the files; `None` when there are none.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn open(config: &GeoConfig) -> anyhow::Result<Option<Self>> {
        let open =
            |file: &Option<PathBuf>, what, key| file.as_deref().map(|file| Database::open(file, what, key)).transpose();
        let asn = open(&config.asn_mmdb, "network", "geo.asn_mmdb")?;
        let city = open(&config.city_mmdb, "city", "geo.city_mmdb")?;
        Ok((asn.is_some() || city.is_some()).then_some(Self { asn, city }))
    }

    /// The name of the city that an address is in, in English.
    pub(crate) fn city_name(&self, ip: IpAddr) -> Option<String> {
        self.city.as_ref()?.text(ip, &CITY)
    }

    /// Reads the files again whenever they have changed, and looks all exits up again, until `stop`.
    pub(crate) async fn follow(self: Arc<Self>, pool: Arc<Nodes>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(EVERY) => {}
            }
            let (networks, pool) = (Arc::clone(&self), Arc::clone(&pool));
            // A refresh that panicked has changed nothing, and the panic is logged: the next one tries again.
            let _ = spawn_blocking(move || {
                let changed =
                    [&networks.asn, &networks.city].into_iter().flatten().filter(|file| file.refresh()).count();
                if changed > 0 {
                    pool.set_atlas(Some(networks));
                }
            })
            .await;
        }
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
