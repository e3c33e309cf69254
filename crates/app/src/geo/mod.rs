//! Countries of addresses from a database in the MaxMind format (MMDB 2.0), read again when the file changes.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use hezar_pool::Country;
use hezar_probe::Geo;
use maxminddb::PathElement;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

mod database;
mod networks;

use database::{Database, Place};
pub(crate) use networks::Networks;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(60);
/// Where the databases in use keep the code: MaxMind and DB-IP, then IPinfo's two shapes.
const PLACES: [Place; 3] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
    &[PathElement::Key("country")],
];

/// The database.
#[derive(Debug)]
pub(crate) struct Countries(Database);

impl Countries {
    /// Reads the file.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        Database::open(file, "country", "geo.mmdb").map(Self)
    }

    /// Reads the file again whenever it has changed, until `stop`. A file that cannot be read leaves the old one.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(EVERY) => {}
            }
            let countries = Arc::clone(&self);
            // A refresh that panicked has changed nothing, and the panic is logged: the next one tries again.
            let _ = spawn_blocking(move || countries.0.refresh()).await;
        }
    }
}

impl Geo for Countries {
    fn country(&self, ip: IpAddr) -> Option<Country> {
        let code = self.0.text(ip, &PLACES)?.to_ascii_uppercase();
        let letters: Country = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(letters)
    }
}

#[cfg(test)]
mod tests;
