//! Countries of addresses from a database in the MaxMind format (MMDB 2.0), read again when the file changes.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use hezar_pool::Country;
use hezar_probe::Geo;
use maxminddb::{PathElement, Reader};
use parking_lot::RwLock;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(60);
/// Where the databases in use keep the code: MaxMind and DB-IP, then IPinfo's two shapes.
const PLACES: [&[PathElement<'static>]; 3] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
    &[PathElement::Key("country")],
];

/// The database.
#[derive(Debug)]
pub(crate) struct Countries {
    file: PathBuf,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    reader: Arc<Reader<Vec<u8>>>,
    modified: Option<SystemTime>,
}

impl Countries {
    /// Reads the file.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let loaded =
            load(file).with_context(|| format!("cannot read the country database {} (geo.mmdb)", file.display()))?;
        Ok(Self { file: file.to_owned(), loaded: RwLock::new(loaded) })
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
        if modified(&self.file) == self.loaded.read().modified {
            return;
        }
        match load(&self.file) {
            Ok(loaded) => {
                *self.loaded.write() = loaded;
                tracing::info!(file = %self.file.display(), "country database read again");
            }
            Err(error) => tracing::warn!(file = %self.file.display(), %error, "country database stays the old one"),
        }
    }
}

impl Geo for Countries {
    fn country(&self, ip: IpAddr) -> Option<Country> {
        let reader = Arc::clone(&self.loaded.read().reader);
        let found = reader.lookup(ip.to_canonical()).ok().filter(|found| found.has_data())?;
        let code = PLACES.iter().find_map(|place| found.decode_path::<&str>(place).ok().flatten())?;
        let letters: Country = code.as_bytes().try_into().ok()?;
        let letters = letters.map(|letter| letter.to_ascii_uppercase());
        letters.iter().all(u8::is_ascii_uppercase).then_some(letters)
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn load(file: &Path) -> anyhow::Result<Loaded> {
    let modified = modified(file);
    Ok(Loaded { reader: Arc::new(Reader::open_readfile(file)?), modified })
}

#[cfg(test)]
mod tests;
