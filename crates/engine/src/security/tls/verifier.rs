//! Verifies the certificate of a node's server: against the roots, against pins, or not at all where the node says so.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use hezar_core::Pin;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Key, name};

/// Checks certificates as one node's settings say.
#[derive(Debug)]
pub(super) struct NodeVerifier {
    roots: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    skip: bool,
    pins: Vec<Pin>,
    /// Names to check instead of the one sent; `None` = the one sent. Empty = none of them could be read.
    names: Option<Vec<ServerName<'static>>>,
}

impl NodeVerifier {
    /// A verifier for the settings in `key`.
    pub(super) fn new(roots: Option<Arc<WebPkiServerVerifier>>, provider: Arc<CryptoProvider>, key: &Key) -> Self {
        let names = key.verify_names.iter().filter_map(|text| name::read(text)).collect();
        Self {
            roots,
            provider,
            skip: key.skip_verify,
            pins: key.pins.clone(),
            names: (!key.verify_names.is_empty()).then_some(names),
        }
    }

    /// Whether the certificate is accepted without looking at it or at the signature.
    const fn blind(&self) -> bool {
        self.skip && self.pins.is_empty()
    }

    /// Checks a signature where it says something: without a trusted certificate it proves nothing, and old self-signed
    /// ones cannot even be read.
    fn unless_blind<C>(&self, check: C) -> Result<HandshakeSignatureValid, Error>
    where
        C: FnOnce(&WebPkiSupportedAlgorithms) -> Result<HandshakeSignatureValid, Error>,
    {
        if self.blind() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        check(&self.provider.signature_verification_algorithms)
    }

    fn pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        let hash = digest(&SHA256, certificate);
        self.pins.iter().any(|pin| pin == hash.as_ref())
    }

    fn by_roots(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        sent: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.roots.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        let Some(names) = &self.names else {
            return roots.verify_server_cert(leaf, chain, sent, ocsp, now);
        };
        let mut result = Err(CertificateError::NotValidForName.into());
        for name in names {
            result = roots.verify_server_cert(leaf, chain, name, ocsp, now);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// A pinned leaf is accepted as it is. A pinned issuer must really have signed the leaf: anybody can append a
    /// public certificate to a chain.
    fn by_pin(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        sent: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned(leaf) {
            return Ok(ServerCertVerified::assertion());
        }
        let no_match = || Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        let issuer = chain.iter().find(|certificate| self.pinned(certificate)).ok_or_else(no_match)?;
        let mut anchor = RootCertStore::empty();
        anchor.add(issuer.clone().into_owned())?;
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &anchor, chain, now, algorithms)?;
        if self.skip {
            return Ok(ServerCertVerified::assertion());
        }
        let names = self.names.as_deref().unwrap_or(std::slice::from_ref(sent));
        let mut result = Err(CertificateError::NotValidForName.into());
        for name in names {
            result = rustls::client::verify_server_name(&parsed, name);
            if result.is_ok() {
                break;
            }
        }
        result.map(|()| ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        sent: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.blind() {
            return Ok(ServerCertVerified::assertion());
        }
        if self.pins.is_empty() {
            self.by_roots(leaf, chain, sent, ocsp, now)
        } else {
            self.by_pin(leaf, chain, sent, now)
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.unless_blind(|algorithms| verify_tls12_signature(message, certificate, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.unless_blind(|algorithms| verify_tls13_signature(message, certificate, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
