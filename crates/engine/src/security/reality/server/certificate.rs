//! The certificate that a REALITY server makes for one connection, and its signatures ([`certificate`](super::super::certificate) has the layout).
//!
//! Nobody but the client sees it: it travels encrypted. It looks as those of other REALITY servers do, because clients know these.

use aws_lc_rs::{
    hmac::{self, HMAC_SHA512},
    signature::{Ed25519KeyPair, KeyPair as _},
};

use crate::{Cause, security::reality::auth::AuthKey};

/// What a server signs in TLS 1.3, in front of the hash (RFC 8446 §4.4.3).
const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The object identifier of Ed25519 (RFC 8410).
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];

/// The Ed25519 key of a server, which is made anew with every configuration.
#[derive(Debug)]
pub(super) struct CertificateKey(Ed25519KeyPair);

impl CertificateKey {
    /// A new one.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the system has no randomness.
    pub(super) fn generate() -> Result<Self, Cause> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| Cause::Unsupported("a system without randomness"))
    }

    /// The certificate (DER) that shows a client that we know the secret of its connection.
    pub(super) fn certificate(&self, key: &AuthKey) -> Vec<u8> {
        let public = self.0.public_key().as_ref();
        let proof = hmac::sign(&hmac::Key::new(HMAC_SHA512, &**key), public);
        certificate(public, proof.as_ref(), &[])
    }

    /// Signs the hash of the transcript up to the certificate.
    pub(super) fn sign(&self, transcript_hash: &[u8]) -> Vec<u8> {
        let signed = [&[0x20; 64][..], CONTEXT, transcript_hash].concat();
        self.0.sign(&signed).as_ref().to_vec()
    }
}

/// A certificate with serial number 0, empty names and a time of which nobody knows.
fn certificate(public: &[u8], signature: &[u8], extensions: &[u8]) -> Vec<u8> {
    let algorithm = der(SEQUENCE, &[&der(OBJECT_ID, &[&ED25519])]);
    let bits = |bytes: &[u8]| der(BIT_STRING, &[&[0], bytes]);
    let time = der(GENERALIZED_TIME, &[b"00010101000000Z"]);
    let inner = [
        &der(VERSION, &[&der(INTEGER, &[&[2]])])[..],
        &der(INTEGER, &[&[0]]),
        &algorithm,
        &der(SEQUENCE, &[]),
        &der(SEQUENCE, &[&time, &time]),
        &der(SEQUENCE, &[]),
        &der(SEQUENCE, &[&algorithm, &bits(public)]),
        extensions,
    ];
    der(SEQUENCE, &[&der(SEQUENCE, &inner), &algorithm, &bits(signature)])
}

/// An element of DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [.., high, low] = content.len().to_be_bytes();
    let head = match content.len() {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// A certificate of the same layout with any content, for the reader's tests.
#[cfg(test)]
pub(in crate::security::reality) fn sample(public: &[u8], signature: &[u8], extension: Option<&[u8]>) -> Vec<u8> {
    let extensions = extension.map_or(Vec::new(), |content| {
        let extension = der(SEQUENCE, &[&der(OBJECT_ID, &[&[0]]), &der(1, &[&[0xff]]), &der(4, &[content])]);
        der(0xa3, &[&der(SEQUENCE, &[&extension])])
    });
    certificate(public, signature, &extensions)
}
