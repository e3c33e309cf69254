//! The certificate that a port uses now, and the certificates that answer the challenges of an ACME server.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::CertificateDer;

use crate::{Certificate, CertificateFacts};

/// What a server that checks a TLS-ALPN-01 challenge offers (RFC 8737, section 3).
pub(crate) const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The place of one certificate, which is exchanged while ports use it.
#[derive(Debug, Default)]
pub struct CertificateSlot {
    current: ArcSwapOption<Certificate>,
    /// Certificates that prove that we answer for a name (RFC 8737), by the name.
    challenges: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    /// Why there is none, or no newer one.
    trouble: Mutex<Option<String>>,
}

impl CertificateSlot {
    /// An empty place: handshakes fail until there is a certificate.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Uses another certificate for every handshake that begins from now on.
    pub fn set(&self, certificate: Certificate) {
        self.current.store(Some(Arc::new(certificate)));
        *self.trouble.lock() = None;
    }

    /// Whether there is a certificate.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.current.load().is_some()
    }

    /// Whether this is the certificate in use.
    pub(crate) fn holds(&self, leaf: &CertificateDer<'_>) -> bool {
        self.current.load().as_ref().is_some_and(|held| held.key.cert.first() == Some(leaf))
    }

    /// What is known of the certificate in use.
    #[must_use]
    pub fn facts(&self) -> Option<CertificateFacts> {
        self.current.load().as_ref().map(|certificate| certificate.facts().clone())
    }

    /// Notes why there is no certificate, or no newer one, or that all is well again.
    pub fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock() = trouble;
    }

    /// Why there is no certificate, or no newer one.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Answers the challenge for a name (in lower case) with this certificate until [`CertificateSlot::clear_challenges`].
    pub fn set_challenge(&self, name: &str, certificate: &Certificate) {
        self.challenges.lock().insert(name.to_owned(), Arc::clone(&certificate.key));
    }

    /// Answers no challenge any more.
    pub fn clear_challenges(&self) {
        self.challenges.lock().clear();
    }
}

impl ResolvesServerCert for CertificateSlot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // The client checks the name: it may have asked for a name, for an address or for nothing.
        self.current.load().as_ref().map(|certificate| Arc::clone(&certificate.key))
    }
}

/// Gives the certificates of challenges alone.
#[derive(Debug)]
pub(crate) struct ChallengeResolver(pub(crate) Arc<CertificateSlot>);

impl ResolvesServerCert for ChallengeResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.0.challenges.lock().get(&name).map(Arc::clone)
    }
}

/// Gives the certificate of a challenge to who offers nothing but TLS-ALPN-01 (RFC 8737, section 3), and that of the moment to everybody else.
#[derive(Debug)]
pub(crate) struct InboundResolver(pub(crate) Arc<CertificateSlot>);

impl ResolvesServerCert for InboundResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let checks = hello.alpn().is_some_and(|mut offered| offered.all(|name| name == ACME_ALPN));
        if checks { ChallengeResolver(Arc::clone(&self.0)).resolve(hello) } else { self.0.resolve(hello) }
    }
}
