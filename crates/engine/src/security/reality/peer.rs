//! A REALITY server for tests: who shows the secret gets the made-up certificate, everybody else the real site.

use std::{fmt, io, sync::Arc};

use aws_lc_rs::{
    aead::AES_256_GCM,
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    hmac::{self, HMAC_SHA512},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use rustls::{
    Error, ServerConfig, SignatureAlgorithm, SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, Signer, SigningKey},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::auth;
use crate::{
    io::{aead::AeadKey, prefixed::Prefixed},
    security::client_hello::{SESSION_ID, ja4},
};

/// The server.
pub(crate) struct Peer {
    key: PrivateKey,
    short_id: [u8; 8],
    ed25519: Arc<Ed25519KeyPair>,
    /// Whether the CertificateVerify is made by the key in the certificate.
    pub(crate) honest: bool,
}

/// Who came.
pub(crate) enum Guest<S> {
    /// A client with the secret, and what it showed: version, time, short id.
    Client(Box<TlsStream<Prefixed<S>>>, [u8; 16]),
    /// Somebody else; nothing was answered yet.
    Stranger(Prefixed<S>),
}

impl Peer {
    pub(crate) fn new(short_id: [u8; 8]) -> Self {
        let ed25519 = Arc::new(Ed25519KeyPair::generate().unwrap());
        Self { key: PrivateKey::generate(&X25519).unwrap(), short_id, ed25519, honest: true }
    }

    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.key.compute_public_key().unwrap().as_ref().try_into().unwrap()
    }

    /// Reads the hello and answers a client.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, mut io: S) -> io::Result<Guest<S>> {
        let mut record = vec![0; 5];
        io.read_exact(&mut record).await?;
        record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
        io.read_exact(&mut record[5..]).await?;
        let shown = self.open(&record);
        let io = Prefixed::new(record.into(), io);
        let Some((key, shown)) = shown.filter(|(_, shown)| shown[8..] == self.short_id) else {
            return Ok(Guest::Stranger(io));
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ServerConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Only(self.certificate(&key))));
        let stream = TlsAcceptor::from(Arc::new(config)).accept(io).await?;
        Ok(Guest::Client(Box::new(stream), shown))
    }

    /// What the session id says, if it is for us.
    fn open(&self, record: &[u8]) -> Option<(auth::AuthKey, [u8; 16])> {
        let shares = ja4::read(record).body(51)?.to_vec();
        let mut message = record[5..].to_vec();
        let random: [u8; 32] = message[6..38].try_into().unwrap();
        let mut sealed = message[SESSION_ID].to_vec();
        message[SESSION_ID].fill(0);
        // The last share of every hello of ours is the X25519 one.
        assert_eq!(shares[shares.len() - 36..shares.len() - 32], [0, 0x1d, 0, 32]);
        let theirs = UnparsedPublicKey::new(&X25519, &shares[shares.len() - 32..]);
        let secret: [u8; 32] = agree(&self.key, theirs, (), |secret| secret.try_into().map_err(drop)).ok()?;
        let key = auth::key(&secret, &random).unwrap();
        let aead = AeadKey::new(&AES_256_GCM, &*key).unwrap();
        let shown = aead.open(random[20..].try_into().unwrap(), &message, &mut sealed)?;
        Some((key, (&*shown).try_into().unwrap()))
    }

    fn certificate(&self, key: &auth::AuthKey) -> CertifiedKey {
        let public = self.ed25519.public_key().as_ref();
        let tag = hmac::sign(&hmac::Key::new(HMAC_SHA512, &**key), public);
        let certificate = certificate(public, tag.as_ref(), None);
        let key = Signature { key: Arc::clone(&self.ed25519), honest: self.honest };
        CertifiedKey::new(vec![certificate.into()], Arc::new(key))
    }
}

/// A certificate as Go writes it: serial 0, empty names, a year of which nobody knows.
pub(super) fn certificate(public: &[u8], signature: &[u8], extension: Option<&[u8]>) -> Vec<u8> {
    let algorithm = der(0x30, &[&der(6, &[&[0x2b, 0x65, 0x70]])]);
    let bits = |bytes: &[u8]| der(3, &[&[0], bytes]);
    let extensions = extension.map_or(Vec::new(), |content| {
        let extension = der(0x30, &[&der(6, &[&[0]]), &der(1, &[&[0xff]]), &der(4, &[content])]);
        der(0xa3, &[&der(0x30, &[&extension])])
    });
    let time = der(0x18, &[b"00010101000000Z"]);
    let inner = [
        der(0xa0, &[&der(2, &[&[2]])]),
        der(2, &[&[0]]),
        algorithm.clone(),
        der(0x30, &[]),
        der(0x30, &[&time, &time]),
        der(0x30, &[]),
        der(0x30, &[&algorithm, &bits(public)]),
        extensions,
    ];
    der(0x30, &[&der(0x30, &[&inner.concat()]), &algorithm, &bits(signature)])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = (content.len() as u16).to_be_bytes();
    let head = match content.len() {
        0..128 => vec![tag, length[1]],
        128..256 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [head, content].concat()
}

struct Only(CertifiedKey);

impl fmt::Debug for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Only")
    }
}

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::new(self.0.clone()))
    }
}

/// Signs with Ed25519, whatever the client offers, as REALITY servers do.
#[derive(Clone, Debug)]
struct Signature {
    key: Arc<Ed25519KeyPair>,
    honest: bool,
}

impl SigningKey for Signature {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Signature {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = self.key.sign(message).as_ref().to_vec();
        signature[0] ^= u8::from(!self.honest);
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
