//! Makes rustls ready for what servers answer to an ECH extension with nothing inside.
//!
//! A server with ECH answers with its configurations, which rustls takes only when it has sent such an extension itself.
//! So it is told to; what it writes into it never leaves, since another hello goes out in its place.

use rustls::{
    Error,
    client::{EchGreaseConfig, EchMode},
    crypto::{
        aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_128,
        hpke::{EncapsulatedSecret, Hpke, HpkeOpener, HpkePrivateKey, HpkePublicKey, HpkeSealer, HpkeSuite},
    },
};

/// The mode for rustls' configuration.
pub(super) fn mode() -> EchMode {
    EchMode::Grease(EchGreaseConfig::new(&NoHpke, HpkePublicKey(vec![0; 32])))
}

/// An HPKE that seals nothing, at no cost.
#[derive(Debug)]
struct NoHpke;

fn nothing<T>() -> Result<T, Error> {
    Err(Error::General("there is no HPKE here".into()))
}

impl Hpke for NoHpke {
    fn seal(
        &self,
        _: &[u8],
        _: &[u8],
        plaintext: &[u8],
        _: &HpkePublicKey,
    ) -> Result<(EncapsulatedSecret, Vec<u8>), Error> {
        Ok((EncapsulatedSecret(vec![0; 32]), plaintext.to_vec()))
    }

    fn setup_sealer(
        &self,
        _: &[u8],
        _: &HpkePublicKey,
    ) -> Result<(EncapsulatedSecret, Box<dyn HpkeSealer + 'static>), Error> {
        Ok((EncapsulatedSecret(vec![0; 32]), Box::new(Self)))
    }

    fn open(&self, _: &EncapsulatedSecret, _: &[u8], _: &[u8], _: &[u8], _: &HpkePrivateKey) -> Result<Vec<u8>, Error> {
        nothing()
    }

    fn setup_opener(
        &self,
        _: &EncapsulatedSecret,
        _: &[u8],
        _: &HpkePrivateKey,
    ) -> Result<Box<dyn HpkeOpener + 'static>, Error> {
        nothing()
    }

    fn generate_key_pair(&self) -> Result<(HpkePublicKey, HpkePrivateKey), Error> {
        nothing()
    }

    fn suite(&self) -> HpkeSuite {
        DH_KEM_X25519_HKDF_SHA256_AES_128.suite()
    }
}

impl HpkeSealer for NoHpke {
    fn seal(&mut self, _: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(plaintext.to_vec())
    }
}
