//! Countries, networks and cities of addresses, from databases in the MaxMind format (MMDB 2.0) that are read again when they change.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use hezar_pool::Country;
use hezar_probe::Geo;
use maxminddb::PathElement;
use parking_lot::RwLock;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

mod database;
mod networks;

use crate::{config::GeoConfig, nodes::Nodes};
use database::{Database, Place};
use networks::Networks;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(60);
/// Where the databases in use keep the country: MaxMind and DB-IP, then IPinfo's two shapes.
const COUNTRY: [Place; 3] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
    &[PathElement::Key("country")],
];

/// The databases that a configuration names.
#[derive(Debug)]
pub(crate) struct GeoDatabases {
    countries: Option<Database>,
    networks: Arc<Networks>,
}

impl GeoDatabases {
    /// Reads the files, which takes a while for large ones.
    ///
    /// # Errors
    /// A file cannot be read, or is no such database.
    pub(crate) fn open(config: &GeoConfig) -> anyhow::Result<Self> {
        let countries = config.mmdb.as_deref().map(|file| Database::open(file, "country", "geo.mmdb")).transpose()?;
        Ok(Self { countries, networks: Arc::new(Networks::open(config)?) })
    }
}

/// The most relays of the Tor network whose countries are kept; it has some thousands of exits.
const MOST_RELAYS: usize = 16_384;

/// Looks addresses up in the databases that are in use, and among the relays of the Tor network that a client has named.
#[derive(Debug)]
pub(crate) struct GeoLookup {
    databases: RwLock<Arc<GeoDatabases>>,
    relays: RwLock<HashMap<IpAddr, Country>>,
}

impl GeoLookup {
    /// Uses these databases, for the exits of a pool too.
    pub(crate) fn new(databases: GeoDatabases, pool: &Nodes) -> Self {
        let lookup = Self { databases: RwLock::new(Arc::new(databases)), relays: RwLock::default() };
        lookup.locate_exits(pool);
        lookup
    }

    /// Uses other databases from now on. Every exit is looked up again, which takes a while in a large pool.
    pub(crate) fn replace(&self, databases: GeoDatabases, pool: &Nodes) {
        *self.databases.write() = Arc::new(databases);
        self.locate_exits(pool);
    }

    /// The name of the city that an address is in, in English.
    pub(crate) fn city_name(&self, ip: IpAddr) -> Option<String> {
        self.databases().networks.city_name(ip)
    }

    /// Notes the country that a Tor client knows for the address of a relay. A database of the configuration is believed first.
    pub(crate) fn note_relay(&self, ip: IpAddr, country: Country) {
        let mut relays = self.relays.write();
        if relays.len() >= MOST_RELAYS {
            relays.clear();
        }
        relays.insert(ip, country);
    }

    fn country_in_database(&self, ip: IpAddr) -> Option<Country> {
        let databases = self.databases();
        let code = databases.countries.as_ref()?.text(ip, &COUNTRY)?.to_ascii_uppercase();
        let letters: Country = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(letters)
    }

    /// Reads the files again whenever they have changed, until `stop`. A file that cannot be read leaves the old database.
    pub(crate) async fn follow(self: Arc<Self>, pool: Arc<Nodes>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(EVERY) => {}
            }
            let (lookup, pool) = (Arc::clone(&self), Arc::clone(&pool));
            // A refresh that panicked has changed nothing, and the panic is logged: the next one tries again.
            let _ = spawn_blocking(move || lookup.refresh(&pool)).await;
        }
    }

    fn refresh(&self, pool: &Nodes) {
        let databases = self.databases();
        if let Some(countries) = &databases.countries {
            countries.refresh();
        }
        if databases.networks.refresh() {
            self.locate_exits(pool);
        }
    }

    fn locate_exits(&self, pool: &Nodes) {
        pool.set_atlas(Some(Arc::clone(&self.databases().networks) as _));
    }

    fn databases(&self) -> Arc<GeoDatabases> {
        Arc::clone(&self.databases.read())
    }
}

impl Geo for GeoLookup {
    fn country(&self, ip: IpAddr) -> Option<Country> {
        self.country_in_database(ip).or_else(|| self.relays.read().get(&ip).copied())
    }
}

#[cfg(test)]
mod tests;
