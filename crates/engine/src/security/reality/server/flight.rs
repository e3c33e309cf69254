//! Our answer to a client, with records exactly as long as those of the site's answer.

use rustls::crypto::hmac::Tag;

use super::{
    certificate::CertificateKey,
    client_hello::ClientHello,
    schedule::{KeySchedule, TrafficSecrets},
    site::SiteFlight,
};
use crate::{
    Cause,
    security::{
        reality::auth::AuthKey,
        tls::records::{HANDSHAKE, Half},
    },
};

const CERTIFICATE: u8 = 11;
const CERTIFICATE_VERIFY: u8 = 15;
pub(super) const FINISHED: u8 = 20;
/// The signature scheme Ed25519 (RFC 8446 §4.2.3).
const ED25519: [u8; 2] = [8, 7];

/// EncryptedExtensions without any.
const NO_EXTENSIONS: [u8; 6] = [8, 0, 0, 2, 0, 0];

/// An answer that is ready to be sent.
pub(super) struct Answer {
    /// What is sent.
    pub(super) wire: Vec<u8>,
    /// Our records after it.
    pub(super) ours: Half,
    /// The client's records up to its Finished.
    pub(super) theirs: Half,
    /// What the client's Finished must say.
    pub(super) finished: Tag,
    /// The secrets of all records after the handshake.
    pub(super) secrets: TrafficSecrets,
}

impl Answer {
    /// Answers `hello` as the site has done, with `key` as the secret that we show to know. The ServerHello is the site's own, with our key share
    /// in the place of the site's.
    ///
    /// # Errors
    /// [`Cause`] when the client has no share for the site's key exchange, or the site's records have no room for our messages.
    pub(super) fn new(
        hello: &ClientHello,
        site: &SiteFlight,
        key: &AuthKey,
        certificates: &CertificateKey,
    ) -> Result<Self, Cause> {
        Self::signed(hello, site, &certificates.certificate(key), |hash| certificates.sign(hash))
    }

    /// The same with a certificate (DER), and what signs a hash with its key.
    pub(super) fn signed(
        hello: &ClientHello,
        site: &SiteFlight,
        certificate: &[u8],
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, Cause> {
        let share = hello.share(site.group.name().into()).ok_or(Cause::Protocol("a key share that was not offered"))?;
        let exchange = site.group.start_and_complete(share).map_err(|error| Cause::Tls(error.to_string().into()))?;
        let mut wire = site.preface.clone();
        let place = wire.get_mut(site.share.clone()).filter(|place| place.len() == exchange.pub_key.len());
        place.ok_or(Cause::Protocol("a key share of another length"))?.copy_from_slice(&exchange.pub_key);
        let server_hello = wire.get(site.server_hello.clone()).unwrap_or_default();
        let mut schedule = KeySchedule::new(site.suite, hello.message(), server_hello, exchange.secret.secret_bytes())?;
        let messages = messages(&mut schedule, certificate, sign)?;
        let (mut ours, theirs) = (schedule.secrets().server_half()?, schedule.secrets().client_half()?);
        let joined = [messages.concat()];
        let texts = if site.lengths.len() == 1 { &joined[..] } else { &messages[..] };
        for (text, length) in texts.iter().zip(&site.lengths) {
            ours.seal_padded(HANDSHAKE, text, *length, &mut wire)?;
        }
        let (finished, secrets) = schedule.finish()?;
        let ours = secrets.server_half()?;
        Ok(Self { wire, ours, theirs, finished, secrets })
    }
}

/// The four messages that end a server's part of the handshake, all added to the transcript.
fn messages(
    schedule: &mut KeySchedule,
    der: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<[Vec<u8>; 4], Cause> {
    let extensions = NO_EXTENSIONS.to_vec();
    schedule.add(&extensions);
    // An empty context, and a list of one certificate without extensions.
    let body = [&[0][..], &length(der.len() + 5), &length(der.len()), der, &[0, 0]].concat();
    let certificate = message(CERTIFICATE, &body);
    schedule.add(&certificate);
    let signature = sign(schedule.transcript_hash().as_ref());
    let [_, high, low] = length(signature.len());
    let verify = message(CERTIFICATE_VERIFY, &[&ED25519[..], &[high, low], &signature].concat());
    schedule.add(&verify);
    let finished = message(FINISHED, schedule.server_finished()?.as_ref());
    schedule.add(&finished);
    Ok([extensions, certificate, verify, finished])
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length(body.len()), body].concat()
}

/// A length in three bytes; all lengths here have less than two.
fn length(length: usize) -> [u8; 3] {
    let [.., a, b, c] = length.to_be_bytes();
    [a, b, c]
}
