//! One file in the MaxMind format (MMDB 2.0), read again when it changes.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use anyhow::Context;
use maxminddb::{PathElement, Reader};
use parking_lot::RwLock;

/// A place in the tree of values that stand for an address.
pub(super) type Place = &'static [PathElement<'static>];

/// The database.
#[derive(Debug)]
pub(super) struct Database {
    file: PathBuf,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    reader: Arc<Reader<Vec<u8>>>,
    modified: Option<SystemTime>,
}

impl Database {
    /// Reads the file; `what` and `key` name it in the error.
    pub(super) fn open(file: &Path, what: &str, key: &str) -> anyhow::Result<Self> {
        let loaded =
            load(file).with_context(|| format!("cannot read the {what} database {} ({key})", file.display()))?;
        Ok(Self { file: file.to_owned(), loaded: RwLock::new(loaded) })
    }

    /// Reads the file again when it has changed; says whether it was. A file that cannot be read leaves the old one.
    pub(super) fn refresh(&self) -> bool {
        if modified(&self.file) == self.loaded.read().modified {
            return false;
        }
        match load(&self.file) {
            Ok(loaded) => {
                *self.loaded.write() = loaded;
                tracing::info!(file = %self.file.display(), "database of addresses read again");
                true
            }
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "database of addresses stays the old one");
                false
            }
        }
    }

    /// The text that stands for an address at the first of these places that has one.
    pub(super) fn text(&self, ip: IpAddr, places: &[Place]) -> Option<String> {
        let reader = Arc::clone(&self.loaded.read().reader);
        let found = reader.lookup(ip.to_canonical()).ok().filter(|found| found.has_data())?;
        places.iter().find_map(|place| found.decode_path::<&str>(place).ok().flatten()).map(str::to_owned)
    }

    /// The number that stands for an address at the first of these places that has one.
    pub(super) fn number(&self, ip: IpAddr, places: &[Place]) -> Option<u32> {
        let reader = Arc::clone(&self.loaded.read().reader);
        let found = reader.lookup(ip.to_canonical()).ok().filter(|found| found.has_data())?;
        places.iter().find_map(|place| found.decode_path::<u32>(place).ok().flatten())
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn load(file: &Path) -> anyhow::Result<Loaded> {
    let modified = modified(file);
    Ok(Loaded { reader: Arc::new(Reader::open_readfile(file)?), modified })
}
