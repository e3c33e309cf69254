//! The setting `tls` of a port: a certificate from files, or one that an ACME server gives.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hezar_core::{
    DomainName, settings,
    settings::{Given, Optional, SettingValue},
};
use thiserror::Error;
use url::Url;

use crate::CertificateFiles;

/// The directory of Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The most names of one certificate (Let's Encrypt takes 100).
const MOST_NAMES: usize = 100;

settings! {
    /// The TLS of one port; without a certificate the port is plain.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct PortTls in "port-tls" {
        /// A file with the certificate and its chain (PEM); read again when it changes.
        pub cert: Option<PathBuf> = None, example "\"fullchain.pem\"";
        /// The file with its private key (PEM, not encrypted).
        pub key: Option<PathBuf> = None, example "\"privkey.pem\"";
        /// Instead of files: names for which an ACME server gives the certificate.
        /// Whoever sets it agrees to the terms of that server.
        pub acme: Vec<String> = Vec::new(), example "[\"proxy.example.org\"]";
        /// The address of the ACME server's directory; Let's Encrypt when it is absent.
        pub acme_directory: Option<AcmeDirectory> = None;
        /// An address to which the ACME server may write.
        pub acme_email: Option<String> = None, example "\"admin@example.org\"";
        /// A file with a root certificate (PEM) that the ACME server's own certificate is checked with, beside the public ones.
        pub acme_ca: Option<PathBuf> = None;
        /// Where challenges over HTTP (HTTP-01) are answered, such as "0.0.0.0:80"; absent: the port itself answers them (TLS-ALPN-01).
        pub acme_http: Option<SocketAddr> = None, example "\"0.0.0.0:80\"";
    }
}

/// The https address of an ACME directory (RFC 8555, section 7.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AcmeDirectory(Url);

impl AcmeDirectory {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl SettingValue for AcmeDirectory {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let url = Url::parse(given.text()?).ok()?;
        (url.scheme() == "https" && url.has_host()).then_some(Self(url))
    }

    fn expected((): &()) -> String {
        "an https URL, such as \"https://acme-v02.api.letsencrypt.org/directory\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.as_str().to_owned()))
    }
}

impl Optional for AcmeDirectory {}

/// What is wrong with the setting as a whole: the key, and the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TlsMistake {
    /// The key that it is about.
    pub key: &'static str,
    message: String,
}

/// Where the certificate of a port comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// From files.
    Files(CertificateFiles),
    /// From an ACME server, for these names.
    Acme(Vec<String>),
}

impl PortTls {
    /// Where the certificate comes from; `None` when the port is plain.
    ///
    /// # Errors
    /// [`TlsMistake`]: half of what is needed is given, or two things that exclude each other, or names that cannot have a
    /// certificate.
    pub fn source(&self) -> Result<Option<CertificateSource>, TlsMistake> {
        let mistake = |key, message: &str| Err(TlsMistake { key, message: message.to_owned() });
        let is_acme = !self.acme.is_empty();
        match (&self.cert, &self.key) {
            (Some(_), _) | (_, Some(_)) if is_acme => mistake(
                "acme",
                "a certificate comes from files (cert and key) or from an ACME server (acme), not from both",
            ),
            (Some(cert), Some(key)) => {
                Ok(Some(CertificateSource::Files(CertificateFiles { cert: cert.clone(), key: key.clone() })))
            }
            (Some(_), None) => mistake("key", "a certificate needs its private key: say key = \"privkey.pem\""),
            (None, Some(_)) => mistake("cert", "a private key needs its certificate: say cert = \"fullchain.pem\""),
            (None, None) if is_acme => self.acme_names().map(|names| Some(CertificateSource::Acme(names))),
            (None, None) if self.is_set() => {
                mistake("acme", "these settings need names for the certificate: say acme = [\"proxy.example.org\"]")
            }
            (None, None) => Ok(None),
        }
    }

    /// The names of the certificate, in lower case and as DNS and ACME have them: other scripts as `xn--` (RFC 8555, section 7.1.4).
    fn acme_names(&self) -> Result<Vec<String>, TlsMistake> {
        if self.acme.len() > MOST_NAMES {
            return Err(TlsMistake { key: "acme", message: format!("there are at most {MOST_NAMES} names") });
        }
        let name = |text: &String| {
            let lower = text.trim().trim_end_matches('.').to_ascii_lowercase();
            let is_name = lower.contains('.') && !lower.contains('*') && lower.parse::<std::net::IpAddr>().is_err();
            let name = DomainName::new(&lower).ok().filter(|_| is_name);
            name.map(|name| name.as_str().to_owned()).ok_or_else(|| TlsMistake {
                key: "acme",
                message: format!("{text:?} is no name for which a certificate can be had here: give full host names such as \"proxy.example.org\", without * and without addresses"),
            })
        };
        self.acme.iter().map(name).collect()
    }

    /// Whether the port speaks TLS.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }

    /// The address of the ACME server's directory.
    #[must_use]
    pub fn directory(&self) -> &str {
        self.acme_directory.as_ref().map_or(LETS_ENCRYPT, AcmeDirectory::as_str)
    }

    /// The same with relative paths that start at `folder`.
    #[must_use]
    pub fn beside(self, folder: Option<&Path>) -> Self {
        let beside =
            |path: Option<PathBuf>| path.map(|path| folder.map_or_else(|| path.clone(), |folder| folder.join(&path)));
        Self { cert: beside(self.cert), key: beside(self.key), acme_ca: beside(self.acme_ca), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_plain_or_has_one_source_of_its_certificate() {
        let files = PortTls { cert: Some("a".into()), key: Some("b".into()), ..PortTls::default() };
        let acme = PortTls { acme: vec!["Proxy.Example.org.".into()], ..PortTls::default() };
        assert_eq!(PortTls::default().source(), Ok(None));
        assert!(matches!(files.source(), Ok(Some(CertificateSource::Files(_)))));
        assert_eq!(acme.source(), Ok(Some(CertificateSource::Acme(vec!["proxy.example.org".into()]))));
        let persian = PortTls { acme: vec!["نمونه.example".into()], ..PortTls::default() };
        assert_eq!(persian.source(), Ok(Some(CertificateSource::Acme(vec!["xn--hhbbbed.example".into()]))));
        let key_of = |tls: PortTls| tls.source().unwrap_err().key;
        assert_eq!(key_of(PortTls { key: None, ..files.clone() }), "key");
        assert_eq!(key_of(PortTls { cert: None, ..files.clone() }), "cert");
        assert_eq!(key_of(PortTls { acme: acme.acme.clone(), ..files }), "acme");
        assert_eq!(key_of(PortTls { acme_email: Some("a@example.org".into()), ..PortTls::default() }), "acme");
        for wrong in
            ["localhost", "*.example.org", "192.0.2.7", "2001:db8::1", "", "a b.example.org", "https://example.org"]
        {
            assert_eq!(key_of(PortTls { acme: vec![wrong.into()], ..PortTls::default() }), "acme", "{wrong}");
        }
    }

    #[test]
    fn relative_files_lie_beside_the_configuration() {
        let tls = PortTls { cert: Some("a.pem".into()), key: Some("/etc/b.pem".into()), ..PortTls::default() };
        let tls = tls.beside(Some(Path::new("/etc/hezar")));
        assert_eq!((tls.cert, tls.key), (Some("/etc/hezar/a.pem".into()), Some("/etc/b.pem".into())));
    }
}
