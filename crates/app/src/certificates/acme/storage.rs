//! What is kept of ACME in the data folder, readable by its owner alone: the accounts, and the certificates with their keys.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use hezar_store::create_private_folder;

use crate::running::write_private;

/// The folder in the data folder.
const FOLDER: &str = "acme";
/// The most bytes of a file; what is longer is not ours.
const MAX_FILE: u64 = 1 << 20;
/// Stands before the key in a file with a certificate.
const KEY: &str = "-----BEGIN PRIVATE KEY-----";

/// The folder.
pub(super) struct AcmeStorage(PathBuf);

impl AcmeStorage {
    pub(super) fn new(data: PathBuf) -> Self {
        Self(data.join(FOLDER))
    }

    /// The certificate chain and the key that are kept for these names.
    pub(super) fn certificate(&self, directory: &str, names: &[String]) -> Option<(String, String)> {
        let text = read(&self.certificate_file(directory, names))?;
        let (chain, key) = text.split_at_checked(text.find(KEY)?)?;
        Some((chain.to_owned(), key.to_owned()))
    }

    pub(super) fn keep_certificate(&self, directory: &str, names: &[String], chain: &str, key: &str) -> io::Result<()> {
        self.write(&self.certificate_file(directory, names), &format!("{}\n{key}", chain.trim_end()))
    }

    /// The account at a server, as the client library writes it.
    pub(super) fn account(&self, directory: &str) -> Option<String> {
        read(&self.account_file(directory))
    }

    pub(super) fn keep_account(&self, directory: &str, text: &str) -> io::Result<()> {
        self.write(&self.account_file(directory), text)
    }

    /// Forgets an account that its server does not know.
    pub(super) fn forget_account(&self, directory: &str) {
        // Without the file there is nothing to forget.
        let _ = fs::remove_file(self.account_file(directory));
    }

    fn account_file(&self, directory: &str) -> PathBuf {
        self.0.join(format!("account-{}.json", short_hash(&[directory])))
    }

    fn certificate_file(&self, directory: &str, names: &[String]) -> PathBuf {
        let parts: Vec<&str> = std::iter::once(directory).chain(names.iter().map(String::as_str)).collect();
        self.0.join(format!("certificate-{}.pem", short_hash(&parts)))
    }

    /// Puts a file in the place of an older one, whole or not at all.
    fn write(&self, file: &Path, text: &str) -> io::Result<()> {
        create_private_folder(&self.0)?;
        let new = file.with_extension("new");
        write_private(&new, text.as_bytes())?.sync_all()?;
        fs::rename(&new, file)
    }
}

fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(file).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Sixteen hexadecimal digits that stand for these texts in a file's name.
fn short_hash(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_for_its_server_and_names_alone() {
        let data = tempfile::tempdir().unwrap();
        let storage = AcmeStorage::new(data.path().to_owned());
        let names = ["a.example.org".to_owned()];
        let key = format!("{KEY}\nAAAA\n-----END PRIVATE KEY-----\n");
        assert_eq!(storage.certificate("https://one", &names), None);
        storage.keep_certificate("https://one", &names, "CHAIN\n\n", &key).unwrap();
        assert_eq!(storage.certificate("https://one", &names), Some(("CHAIN\n".to_owned(), key.clone())));
        assert_eq!(storage.certificate("https://two", &names), None);
        assert_eq!(storage.certificate("https://one", &["b.example.org".to_owned()]), None);
        storage.keep_account("https://one", "{}").unwrap();
        assert_eq!(storage.account("https://one").as_deref(), Some("{}"));
        storage.forget_account("https://one");
        assert_eq!(storage.account("https://one"), None);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_what_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        let storage = AcmeStorage::new(data.path().to_owned());
        storage.keep_account("https://one", "{}").unwrap();
        storage.keep_certificate("https://one", &[], "CHAIN", KEY).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.path().join(FOLDER)), 0o700);
        let files: Vec<_> =
            fs::read_dir(data.path().join(FOLDER)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(files.iter().all(|file| mode(file) == 0o600));
    }
}
