//! A root and a server certificate, made anew for each run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use crate::secrets::SERVER_NAME;

/// What the peers present and what we trust.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// The server's chain, PEM.
    pub(crate) chain: PathBuf,
    /// Its key, PEM.
    pub(crate) key: PathBuf,
    /// The chain of the site behind REALITY servers, PEM: as long as those of large sites, because a server hides its
    /// second signature in as many bytes.
    pub(crate) long_chain: PathBuf,
    /// The root, DER.
    pub(crate) root: CertificateDer<'static>,
    /// The SHA-256 of the server's certificate, in hexadecimal.
    pub(crate) pin: String,
}

impl Certificate {
    /// Makes them and writes the server's part into `folder`.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let mut authority = CertificateParams::new(vec!["Interop Root".to_owned()])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        params.use_authority_key_identifier_extension = true;
        let server = params.signed_by(&key, &authority)?;
        let mut names = vec![SERVER_NAME.to_owned()];
        names.extend((0..150).map(|number| format!("{number}.one-of-many-names.interop.test")));
        let mut params = CertificateParams::new(names)?;
        params.use_authority_key_identifier_extension = true;
        let site = params.signed_by(&key, &authority)?;
        let made = Self {
            chain: folder.join("server.pem"),
            long_chain: folder.join("site.pem"),
            key: folder.join("server.key"),
            root: authority.der().clone(),
            pin: hex::encode(Sha256::digest(server.der())),
        };
        fs::write(&made.chain, server.pem() + &authority.pem()).context("cannot write the certificate")?;
        fs::write(&made.long_chain, site.pem() + &authority.pem()).context("cannot write the certificate")?;
        fs::write(&made.key, key.serialize_pem()).context("cannot write the key")?;
        Ok(made)
    }
}
