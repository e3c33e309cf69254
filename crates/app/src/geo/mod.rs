//! Countries of addresses from a database in the MaxMind format (MMDB 2.0), read again when the file changes.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use hezar_pool::Country;
use hezar_probe::Geo;
use maxminddb::PathElement;
use parking_lot::RwLock;
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

/// The database that is in use, if any.
#[derive(Debug)]
pub(crate) struct Countries(RwLock<Option<Arc<Database>>>);

impl Countries {
    /// Reads the file; without one no country is known.
    ///
    /// # Errors
    /// The file cannot be read, or is no such database.
    pub(crate) fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let database = file.map(|file| Database::open(file, "country", "geo.mmdb")).transpose()?;
        Ok(Self(RwLock::new(database.map(Arc::new))))
    }

    /// Uses the database of another one, or none, from now on.
    pub(crate) fn replace(&self, other: Self) {
        *self.0.write() = other.0.into_inner();
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
            let _ = spawn_blocking(move || countries.refresh()).await;
        }
    }

    fn refresh(&self) {
        let used = self.0.read().clone();
        if let Some(database) = used {
            database.refresh();
        }
    }
}

impl Geo for Countries {
    fn country(&self, ip: IpAddr) -> Option<Country> {
        let database = self.0.read().clone()?;
        let code = database.text(ip, &PLACES)?.to_ascii_uppercase();
        let letters: Country = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(letters)
    }
}

#[cfg(test)]
mod tests;
