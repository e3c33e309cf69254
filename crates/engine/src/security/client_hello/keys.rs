//! The ephemeral keys of one hello, made before rustls asks for them: REALITY needs the X25519 key before the hello is
//! complete, and a hello that is built twice must have the same shares twice.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    kem::{DecapsulationKey, ML_KEM_768},
};
use rustls::{
    Error, NamedGroup, PeerMisbehaved, ProtocolVersion,
    crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup},
    ffdhe_groups::FfdheGroup,
};

use zeroize::Zeroizing;

use super::scripted_rng;

/// The length of an ML-KEM-768 ciphertext.
const CIPHERTEXT: usize = 1088;

const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// The keys behind the shares of one hello.
pub(super) struct Keys {
    /// The key of the share of X25519 alone.
    x25519: PrivateKey,
    /// The key in the hybrid share, where it is another one.
    in_hybrid: Option<PrivateKey>,
    ml_kem: DecapsulationKey,
    /// The ML-KEM encapsulation key and then the X25519 public key.
    hybrid: Vec<u8>,
    classical: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Fresh keys as browsers have them: each share has a key of its own. Equal ones would show that no browser speaks.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn like_a_browser() -> Result<Self, Error> {
        Self::with(Some(PrivateKey::generate(&X25519).map_err(|_| Error::FailedToGetRandomBytes)?))
    }

    /// Fresh keys as rustls has them: one X25519 key in both shares.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn like_rustls() -> Result<Self, Error> {
        Self::with(None)
    }

    fn with(in_hybrid: Option<PrivateKey>) -> Result<Self, Error> {
        let failed = |_| Error::FailedToGetRandomBytes;
        let x25519 = PrivateKey::generate(&X25519).map_err(failed)?;
        let classical = public(&x25519)?;
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(failed)?;
        let encapsulation = ml_kem.encapsulation_key().map_err(failed)?;
        let mut hybrid = encapsulation.key_bytes().map_err(failed)?.as_ref().to_vec();
        hybrid.extend_from_slice(&in_hybrid.as_ref().map_or(Ok(classical), public)?);
        Ok(Self { x25519, in_hybrid, ml_kem, hybrid, classical })
    }

    /// The share of X25519MLKEM768.
    pub(super) fn hybrid_share(&self) -> &[u8] {
        &self.hybrid
    }

    /// The share of X25519.
    pub(super) const fn x25519_share(&self) -> &[u8; 32] {
        &self.classical
    }

    /// The secret of the X25519 share's key with another public key. It is also the one that Xray's client shows itself with, and a
    /// REALITY server looks at this share first.
    ///
    /// # Errors
    /// When the other key is no point to agree with.
    pub(super) fn x25519(&self, theirs: &[u8]) -> Result<[u8; 32], Error> {
        agreed(&self.x25519, theirs)
    }

    fn hybrid_secret(&self, theirs: &[u8]) -> Result<Zeroizing<[u8; 64]>, Error> {
        let (ciphertext, theirs) = theirs.split_at_checked(CIPHERTEXT).ok_or(INVALID)?;
        let mut secret = Zeroizing::new([0; 64]);
        let (first, second) = secret.split_at_mut(32);
        let shared = self.ml_kem.decapsulate(ciphertext.into()).map_err(|_| INVALID)?;
        first.copy_from_slice(shared.as_ref().get(..32).ok_or(INVALID)?);
        second.copy_from_slice(&agreed(self.in_hybrid.as_ref().unwrap_or(&self.x25519), theirs)?);
        Ok(secret)
    }
}

/// The X25519 secret of a key of ours with the other side's public key.
///
/// # Errors
/// When the other key is no point to agree with.
pub(crate) fn agreed(ours: &PrivateKey, theirs: &[u8]) -> Result<[u8; 32], Error> {
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    agree(ours, theirs, INVALID, |secret| secret.try_into().map_err(|_| INVALID))
}

fn public(key: &PrivateKey) -> Result<[u8; 32], Error> {
    let failed = || Error::FailedToGetRandomBytes;
    key.compute_public_key().map_err(|_| failed())?.as_ref().try_into().map_err(|_| failed())
}

/// A valid X25519 public key whose private key is thrown away, for fields that only look like keys.
///
/// # Errors
/// When the system has no randomness.
pub(super) fn public_key_of_nobody() -> Result<[u8; 32], Error> {
    public(&PrivateKey::generate(&X25519).map_err(|_| Error::FailedToGetRandomBytes)?)
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
        Ok(Box::new(Exchange(scripted_rng::take_keys()?)))
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
        self.0.hybrid_secret(theirs).map(|secret| SharedSecret::from(&secret[..]))
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, self.0.x25519_share()))
    }

    fn complete_hybrid_component(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        self.0.x25519(theirs).map(|secret| SharedSecret::from(&Zeroizing::new(secret)[..]))
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
