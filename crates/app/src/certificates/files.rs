//! A certificate and its key in files that others replace while we run.

use std::sync::Arc;

use hezar_accept::{Certificate, CertificateError, CertificateFiles, CertificateSlot};
use parking_lot::Mutex;

/// The files, with what was found in them last.
pub(super) struct WatchedFiles {
    files: CertificateFiles,
    seen: Mutex<Seen>,
}

/// What was found in the files.
struct Seen {
    /// The hash of what is in use.
    used: blake3::Hash,
    /// What was wrong at the last look.
    wrong: Option<String>,
}

impl WatchedFiles {
    /// Reads the files for the first time into `slot`.
    ///
    /// # Errors
    /// They cannot be read or do not belong together.
    pub(super) fn read(files: CertificateFiles, slot: &CertificateSlot) -> anyhow::Result<Self> {
        let (certificate, used) = load(&files).map_err(|error| anyhow::anyhow!("{}: {error}", named(&files)))?;
        slot.set(certificate);
        Ok(Self { files, seen: Mutex::new(Seen { used, wrong: None }) })
    }

    /// Reads the files again. When they have changed and are good, `slot` gets what is in them; otherwise it stays as it is.
    pub(super) fn refresh(&self, slot: &Arc<CertificateSlot>) {
        let mut seen = self.seen.lock();
        match load(&self.files) {
            Ok((_, hash)) if hash == seen.used => {
                seen.wrong = None;
                slot.set_trouble(None);
            }
            Ok((certificate, hash)) => {
                let not_after = certificate.facts().not_after;
                tracing::info!(files = %named(&self.files), not_after = not_after.0, "the certificate was read again");
                *seen = Seen { used: hash, wrong: None };
                slot.set(certificate);
            }
            Err(error) => {
                let error = format!("{}: {error}; the certificate from before stays in use", named(&self.files));
                // A certificate and its key are replaced one after the other: only what is still wrong at the next look is told.
                let is_new = seen.wrong.replace(error.clone()).as_ref() != Some(&error);
                if !is_new && slot.trouble().as_ref() != Some(&error) {
                    tracing::warn!("{error}");
                    slot.set_trouble(Some(error));
                }
            }
        }
    }
}

/// What is in the files, and its hash.
fn load(files: &CertificateFiles) -> Result<(Certificate, blake3::Hash), CertificateError> {
    let [chain, key] = files.read()?;
    let certificate = Certificate::from_pem(&chain, &key)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(chain.len() as u64).to_le_bytes()).update(&chain).update(&key);
    Ok((certificate, hasher.finalize()))
}

/// The files as messages name them.
fn named(files: &CertificateFiles) -> String {
    if files.cert == files.key {
        return files.cert.display().to_string();
    }
    format!("{} with {}", files.cert.display(), files.key.display())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::certificates::tests::write_certificate;

    fn fingerprint(slot: &CertificateSlot) -> String {
        slot.facts().unwrap().fingerprint
    }

    fn files_in(folder: &Path) -> CertificateFiles {
        CertificateFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") }
    }

    #[test]
    fn replaced_files_are_used_and_broken_ones_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (files, slot) = (files_in(folder.path()), CertificateSlot::new());
        write_certificate(folder.path());
        let watched = WatchedFiles::read(files.clone(), &slot).unwrap();
        let first = fingerprint(&slot);
        watched.refresh(&slot);
        assert_eq!((fingerprint(&slot), slot.trouble()), (first.clone(), None));
        write_certificate(folder.path());
        watched.refresh(&slot);
        let second = fingerprint(&slot);
        assert_ne!(first, second);
        // Half a pair at the first look may be on its way; at the second one it is told.
        let good = fs::read(&files.key).unwrap();
        fs::write(&files.key, "no key").unwrap();
        watched.refresh(&slot);
        assert_eq!((fingerprint(&slot), slot.trouble()), (second.clone(), None));
        watched.refresh(&slot);
        assert_eq!(fingerprint(&slot), second);
        assert!(slot.trouble().is_some_and(|told| told.contains("key.pem") && told.contains("no private key")));
        fs::write(&files.key, good).unwrap();
        watched.refresh(&slot);
        assert_eq!((fingerprint(&slot), slot.trouble()), (second, None));
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_elsewhere_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        for place in [&old, &new] {
            fs::create_dir(place).unwrap();
            write_certificate(place);
        }
        let live = folder.path().join("live");
        std::os::unix::fs::symlink(&old, &live).unwrap();
        let slot = CertificateSlot::new();
        let watched = WatchedFiles::read(files_in(&live), &slot).unwrap();
        let first = fingerprint(&slot);
        fs::remove_file(&live).unwrap();
        watched.refresh(&slot);
        std::os::unix::fs::symlink(&new, &live).unwrap();
        watched.refresh(&slot);
        assert_ne!(fingerprint(&slot), first);
        assert_eq!(slot.trouble(), None);
    }
}
