//! A certificate with its key, read from PEM texts, and what a person wants to know of it.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest::{SHA256, digest};
use hezar_core::Timestamp;
use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

/// The most bytes of a file; chains and keys have a few KiB.
const MAX_FILE: u64 = 1 << 20;
/// The length of a SHA-256 hash.
const SHA256_BYTES: usize = 32;
/// The most names that are shown.
const MOST_NAMES: usize = 100;

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate in the text.
    #[error("there is no certificate (BEGIN CERTIFICATE) in it")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    BadCertificate(String),
    /// There is no private key in the text.
    #[error("there is no private key (BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY) in it")]
    NoKey,
    /// The key is encrypted, and nobody is there to ask for its password.
    #[error(
        "the private key is encrypted: write it without a password (openssl pkey -in KEY -out PLAIN), readable by its owner alone"
    )]
    EncryptedKey,
    /// The key cannot be read, or is of a kind that TLS here does not know.
    #[error("the private key cannot be used: {0}")]
    BadKey(String),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

/// What a person wants to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// From when on it is good.
    pub not_before: Timestamp,
    /// Until when it is good.
    pub not_after: Timestamp,
    /// The SHA-256 hash of the certificate, in hexadecimal digits.
    pub fingerprint: String,
}

/// A certificate with its chain and its key.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    facts: CertificateFacts,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads the certificate with its chain, the one of the server in front, and the private key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// [`CertificateError`]: one of them cannot be used, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let read = Self::read(chain, key)?;
        match read.key.keys_match() {
            Ok(()) => Ok(read),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch),
            Err(error) => Err(CertificateError::BadCertificate(error.to_string())),
        }
    }

    /// Reads both without comparing them.
    fn read(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| CertificateError::BadCertificate(error.to_string()))?;
        let facts = facts_of(chain.first().ok_or(CertificateError::NoCertificate)?)?;
        let key = provider()
            .key_provider
            .load_private_key(private_key(key)?)
            .map_err(|error| CertificateError::BadKey(error.to_string()))?;
        Ok(Self { key: Arc::new(CertifiedKey::new(chain, key)), facts })
    }

    /// A certificate that proves to an ACME server that we answer for a name (TLS-ALPN-01, RFC 8737, section 3); `digest` is the
    /// SHA-256 hash of the key authorization.
    ///
    /// # Errors
    /// [`CertificateError::BadCertificate`]: the name or the digest cannot be in a certificate.
    pub fn answering_challenge(name: &str, digest: &[u8]) -> Result<Self, CertificateError> {
        if digest.len() != SHA256_BYTES {
            return Err(CertificateError::BadCertificate("a challenge needs a SHA-256 hash".to_owned()));
        }
        let make = || {
            let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()])?;
            parameters.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
            let key = rcgen::KeyPair::generate()?;
            Ok::<_, rcgen::Error>((parameters.self_signed(&key)?.pem(), key.serialize_pem()))
        };
        let (chain, key) = make().map_err(|error| CertificateError::BadCertificate(error.to_string()))?;
        // rustls compares no certificate that has an extension which it does not know and must (RFC 8737 makes this one critical).
        Self::read(chain.as_bytes(), key.as_bytes())
    }

    /// What a person wants to know of it.
    #[must_use]
    pub const fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

/// The cryptography of all ports.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The first private key of a text.
fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    // An old form says so in a header line (RFC 1421), the other one in its label (RFC 5958).
    let is_encrypted = contains(text, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(text, b"Proc-Type: 4,ENCRYPTED");
    if is_encrypted {
        return Err(CertificateError::EncryptedKey);
    }
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(rustls_pki_types::pem::Error::NoItemsFound) => Err(CertificateError::NoKey),
        Err(error) => Err(CertificateError::BadKey(error.to_string())),
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

fn facts_of(leaf: &CertificateDer<'_>) -> Result<CertificateFacts, CertificateError> {
    let bad = |error: &dyn fmt::Display| CertificateError::BadCertificate(error.to_string());
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| bad(&error))?;
    let names = parsed.subject_alternative_name().map_err(|error| bad(&error))?;
    let names = names.map(|names| names.value.general_names.iter().filter_map(name).take(MOST_NAMES).collect());
    let validity = parsed.validity();
    Ok(CertificateFacts {
        names: names.unwrap_or_default(),
        issuer: parsed.issuer().to_string(),
        not_before: moment(validity.not_before.timestamp()),
        not_after: moment(validity.not_after.timestamp()),
        fingerprint: hex::encode(digest(&SHA256, leaf)),
    })
}

/// A moment that is given in seconds since 1970; earlier ones are 1970.
fn moment(seconds: i64) -> Timestamp {
    Timestamp(u64::try_from(seconds).unwrap_or_default().saturating_mul(1000))
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// The root certificates in a file (PEM).
///
/// # Errors
/// [`CertificateError`]: the file cannot be read, or holds no certificate.
pub fn read_root_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&read_file(file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::BadCertificate(error.to_string()))?;
    if roots.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(roots) }
}

/// The files of a certificate and of its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate with its chain.
    pub cert: PathBuf,
    /// The private key; it may be the same file.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError::File`]: one cannot be read, or is larger than 1 MiB.
    pub fn read(&self) -> Result<[Vec<u8>; 2], CertificateError> {
        Ok([read_file(&self.cert)?, read_file(&self.key)?])
    }
}

fn read_file(file: &Path) -> Result<Vec<u8>, CertificateError> {
    let read = || {
        let mut bytes = Vec::new();
        fs::File::open(file)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
        }
        Ok(bytes)
    };
    read().map_err(|error| CertificateError::File { file: file.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};

    use super::*;

    fn generated() -> Generated<rcgen::KeyPair> {
        generate_simple_self_signed(vec!["proxy.example.org".to_owned(), "192.0.2.7".to_owned()]).unwrap()
    }

    #[test]
    fn a_certificate_says_what_it_is_for() {
        let made = generated();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let read = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let facts = read.facts();
        assert_eq!(facts.names, ["proxy.example.org", "192.0.2.7"]);
        assert!(facts.not_before < facts.not_after && facts.fingerprint.len() == 64, "{facts:?}");
        // One file may hold both.
        let both = [key, chain].concat();
        assert!(Certificate::from_pem(both.as_bytes(), both.as_bytes()).is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        let (one, other) = (generated(), generated());
        let (chain, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let refused = |chain: &str, key: &str| Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(refused(&chain, &other.signing_key.serialize_pem()), CertificateError::Mismatch));
        assert!(matches!(refused("", &key), CertificateError::NoCertificate));
        assert!(matches!(refused(&key, &key), CertificateError::NoCertificate));
        assert!(matches!(refused(&chain, ""), CertificateError::NoKey));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(refused(broken, &key), CertificateError::BadCertificate(_)));
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(refused(&chain, broken), CertificateError::BadKey(_)));
        let new = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        for encrypted in [new, old] {
            assert!(matches!(refused(&chain, encrypted), CertificateError::EncryptedKey));
        }
    }

    #[test]
    fn a_file_that_is_too_large_or_absent_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (large, absent) = (folder.path().join("large.pem"), folder.path().join("absent.pem"));
        fs::write(&large, vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        for (file, name) in [(large, "large.pem"), (absent, "absent.pem")] {
            let error = CertificateFiles { cert: file.clone(), key: file }.read().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
