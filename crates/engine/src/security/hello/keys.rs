//! The ephemeral keys of one hello, made before rustls asks for them: REALITY needs the X25519 key before the hello is
//! complete, and a hello that is built twice must have the same shares twice.

use std::sync::Arc;

use aws_lc_rs::{
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    kem::{DecapsulationKey, ML_KEM_768},
};
use rustls::{
    Error, NamedGroup, PeerMisbehaved, ProtocolVersion,
    crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup},
    ffdhe_groups::FfdheGroup,
};

use super::script;

/// The length of an ML-KEM-768 ciphertext.
const CIPHERTEXT: usize = 1088;

const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// One X25519 key and one ML-KEM-768 key. The hybrid share ends with the X25519 one.
#[derive(Debug)]
pub(super) struct Keys {
    x25519: PrivateKey,
    ml_kem: DecapsulationKey,
    /// The ML-KEM encapsulation key and then the X25519 public key.
    hybrid: Vec<u8>,
}

impl Keys {
    /// Fresh keys.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn generate() -> Result<Self, Error> {
        let failed = |_| Error::FailedToGetRandomBytes;
        let x25519 = PrivateKey::generate(&X25519).map_err(failed)?;
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(failed)?;
        let encapsulation = ml_kem.encapsulation_key().map_err(failed)?;
        let mut hybrid = encapsulation.key_bytes().map_err(failed)?.as_ref().to_vec();
        hybrid.extend_from_slice(x25519.compute_public_key().map_err(failed)?.as_ref());
        Ok(Self { x25519, ml_kem, hybrid })
    }

    /// The share of X25519MLKEM768.
    pub(super) fn hybrid_share(&self) -> &[u8] {
        &self.hybrid
    }

    /// The share of X25519.
    pub(super) fn x25519_share(&self) -> &[u8] {
        self.hybrid.get(self.hybrid.len().saturating_sub(32)..).unwrap_or_default()
    }

    /// The X25519 secret with another public key.
    ///
    /// # Errors
    /// When the other key is no point to agree with.
    pub(super) fn x25519(&self, theirs: &[u8]) -> Result<[u8; 32], Error> {
        let theirs = UnparsedPublicKey::new(&X25519, theirs);
        agree(&self.x25519, theirs, INVALID, |secret| secret.try_into().map_err(|_| INVALID))
    }

    fn hybrid_secret(&self, theirs: &[u8]) -> Result<Vec<u8>, Error> {
        let (ciphertext, x25519) = theirs.split_at_checked(CIPHERTEXT).ok_or(INVALID)?;
        let mut secret = self.ml_kem.decapsulate(ciphertext.into()).map_err(|_| INVALID)?.as_ref().to_vec();
        secret.extend_from_slice(&self.x25519(x25519)?);
        Ok(secret)
    }
}

/// X25519MLKEM768 with keys from the script; X25519 alone comes with it.
#[derive(Debug)]
pub(super) struct Hybrid;

/// X25519 alone, so that rustls believes in it. It is never started: the hybrid's is used.
#[derive(Debug)]
pub(super) struct Classical;

struct Exchange(Arc<Keys>);

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Exchange(script::take_keys()?)))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

impl SupportedKxGroup for Classical {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        // TLS 1.2 starts an exchange of its own.
        rustls::crypto::aws_lc_rs::kx_group::X25519.start()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        self.0.hybrid_secret(theirs).map(SharedSecret::from)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, self.0.x25519_share()))
    }

    fn complete_hybrid_component(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        self.0.x25519(theirs).map(|secret| SharedSecret::from(&secret[..]))
    }

    fn pub_key(&self) -> &[u8] {
        self.0.hybrid_share()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}
