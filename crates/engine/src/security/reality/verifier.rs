//! Who answered the hello: a REALITY server that knows our secret, or the real site that it hides behind.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::{
    hmac::{self, HMAC_SHA512},
    signature::{ED25519, ML_DSA_65, UnparsedPublicKey},
};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{auth::AuthKey, certificate::Certificate};
use crate::security::client_hello::ServerHello;

/// Who presented an accepted certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// A REALITY server that has our secret, with its Ed25519 key.
    Reality([u8; 32]),
    /// A site with a certificate of its own.
    RealSite,
}

/// The two hellos of a connection, for the second signature.
#[derive(Debug)]
pub(super) struct Hellos {
    pub(super) client: Box<[u8]>,
    pub(super) server: ServerHello,
}

/// What a REALITY server must show on one connection.
pub(super) struct Proof {
    /// The shared secret.
    pub(super) key: AuthKey,
    /// The ML-DSA-65 key that must have signed the certificate too, and what it signed.
    pub(super) ml_dsa: Option<(Arc<[u8]>, Hellos)>,
}

impl fmt::Debug for Proof {
    /// Without the secret: it hangs in a configuration that anybody may print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("ml_dsa", &self.ml_dsa.is_some()).finish_non_exhaustive()
    }
}

/// Accepts the REALITY server, or the real site as a browser would. For one connection.
#[derive(Debug)]
pub(super) struct OrRealSite {
    /// Checks real sites.
    sites: Arc<dyn ServerCertVerifier>,
    proof: OnceLock<Proof>,
    who: OnceLock<Who>,
}

impl OrRealSite {
    /// Knows how real sites are checked and not yet the proof.
    pub(super) const fn new(sites: Arc<dyn ServerCertVerifier>) -> Self {
        Self { sites, proof: OnceLock::new(), who: OnceLock::new() }
    }

    /// Says what a REALITY server must show; without, there is none.
    pub(super) fn expect(&self, proof: Proof) {
        let _ = self.proof.set(proof);
    }

    /// Whether a REALITY server was accepted.
    pub(super) fn met_reality(&self) -> bool {
        matches!(self.who.get(), Some(Who::Reality(_)))
    }
}

impl Proof {
    fn is_shown_by(&self, certificate: &Certificate<'_>) -> bool {
        let secret = hmac::Key::new(HMAC_SHA512, &*self.key);
        hmac::verify(&secret, certificate.key, certificate.signature).is_ok()
    }

    /// The second signature, over both hellos, where the node's settings ask for it.
    pub(super) fn check_ml_dsa(&self, certificate: &Certificate<'_>) -> Result<(), Error> {
        let Some((public, hellos)) = &self.ml_dsa else { return Ok(()) };
        let refused = || Error::InvalidCertificate(CertificateError::BadSignature);
        let mut message = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA512, &*self.key));
        message.update(certificate.key);
        message.update(&hellos.client);
        message.update(hellos.server.get().ok_or_else(refused)?);
        let signature = certificate.extension.ok_or_else(refused)?;
        let public = UnparsedPublicKey::new(&ML_DSA_65, public);
        public.verify(message.sign().as_ref(), signature).map_err(|_| refused())
    }
}

impl ServerCertVerifier for OrRealSite {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let (Some(certificate), Some(proof)) = (Certificate::parse(leaf), self.proof.get())
            && proof.is_shown_by(&certificate)
        {
            proof.check_ml_dsa(&certificate)?;
            let _ = self.who.set(Who::Reality(*certificate.key));
            return Ok(ServerCertVerified::assertion());
        }
        let accepted = self.sites.verify_server_cert(leaf, chain, name, ocsp, now)?;
        let _ = self.who.set(Who::RealSite);
        Ok(accepted)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.who.get() {
            Some(Who::RealSite) => self.sites.verify_tls12_signature(message, certificate, signature),
            // REALITY is TLS 1.3 only.
            _ => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.who.get() {
            // The secret was shown; this shows the key, so that nobody replays the certificate.
            Some(Who::Reality(key)) if signature.scheme == SignatureScheme::ED25519 => {
                let key = UnparsedPublicKey::new(&ED25519, key);
                match key.verify(message, signature.signature()) {
                    Ok(()) => Ok(HandshakeSignatureValid::assertion()),
                    Err(_) => Err(CertificateError::BadSignature.into()),
                }
            }
            Some(Who::Reality(_)) => Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()),
            Some(Who::RealSite) => self.sites.verify_tls13_signature(message, certificate, signature),
            None => Err(CertificateError::BadSignature.into()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.sites.supported_verify_schemes()
    }
}
