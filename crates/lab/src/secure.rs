//! TLS for the targets, and the false certificate of a server that answers in their place.

use std::{fmt, io, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// The name of the HTTP origin behind TLS, port 443, and of the echo behind TLS, port 7.
pub const SECURE_HOST: &str = "secure.hezar";

/// The certificates of a world, made anew for each.
#[derive(Clone)]
pub(crate) struct Certificates {
    /// What a client of the targets trusts, DER.
    pub(crate) root: Arc<[u8]>,
    /// The targets' own.
    pub(crate) true_one: TlsAcceptor,
    /// The one of a server that tampers.
    pub(crate) false_one: TlsAcceptor,
}

impl Certificates {
    pub(crate) fn make() -> io::Result<Self> {
        let (root, true_one) = identity("Lab Root")?;
        let (_, false_one) = identity("Lab Impostor")?;
        Ok(Self { root: root.as_ref().into(), true_one, false_one })
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// A root, and a server with a certificate by it.
fn identity(name: &str) -> io::Result<(CertificateDer<'static>, TlsAcceptor)> {
    let mut authority = CertificateParams::new(vec![name.to_owned()]).map_err(io::Error::other)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().map_err(io::Error::other);
    let authority = CertifiedIssuer::self_signed(authority, key()?).map_err(io::Error::other)?;
    let mut params = CertificateParams::new(vec![SECURE_HOST.to_owned()]).map_err(io::Error::other)?;
    params.use_authority_key_identifier_extension = true;
    let secret = key()?;
    let certificate = params.signed_by(&secret, &authority).map_err(io::Error::other)?;
    let chain = vec![certificate.der().clone(), authority.der().clone()];
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(io::Error::other)?;
    Ok((authority.der().clone(), TlsAcceptor::from(Arc::new(config))))
}
