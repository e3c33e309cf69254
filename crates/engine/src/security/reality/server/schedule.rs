//! The key schedule of a TLS 1.3 server without tickets (RFC 8446 §4.4, §7), on the hashes of rustls' cipher suites.
//!
//! ```text
//! 0 ─► early secret ─"derived"─► handshake secret ◄─ key exchange
//!                                  ├─"c hs traffic", "s hs traffic"   (ClientHello … ServerHello)
//!                                  └─"derived"─► master secret
//!                                       └─"c ap traffic", "s ap traffic"   (… server Finished)
//! of each traffic secret: "key", "iv", "finished", and "traffic upd" for the next one
//! ```

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use rustls::{
    CipherSuite, Tls13CipherSuite,
    crypto::{
        hash, hmac,
        tls13::{HkdfExpander, OkmBlock},
    },
};
use zeroize::Zeroizing;

use crate::{
    Cause,
    security::tls::records::{Edition, Half, PostHandshake},
};

/// The length of the longest key of a cipher suite.
const LONGEST_KEY: usize = 32;

const TOO_LONG: Cause = Cause::Unsupported("a TLS secret of this length");

/// The traffic secrets of both directions.
pub(super) struct TrafficSecrets {
    suite: &'static Tls13CipherSuite,
    client: OkmBlock,
    server: OkmBlock,
}

/// The keys of a handshake under way.
pub(super) struct KeySchedule {
    transcript: Box<dyn hash::Context>,
    handshake_secret: Box<dyn HkdfExpander>,
    secrets: TrafficSecrets,
}

impl KeySchedule {
    /// The schedule after both hellos, with the secret of the key exchange.
    ///
    /// # Errors
    /// Never: the lengths are fixed.
    pub(super) fn new(
        suite: &'static Tls13CipherSuite,
        client_hello: &[u8],
        server_hello: &[u8],
        shared: &[u8],
    ) -> Result<Self, Cause> {
        let mut transcript = suite.common.hash_provider.start();
        transcript.update(client_hello);
        transcript.update(server_hello);
        let handshake_secret = handshake_secret(suite, shared)?;
        let secrets = TrafficSecrets::of_handshake(suite, &*handshake_secret, transcript.fork_finish().as_ref())?;
        Ok(Self { transcript, handshake_secret, secrets })
    }

    /// Adds a message to the transcript.
    pub(super) fn add(&mut self, message: &[u8]) {
        self.transcript.update(message);
    }

    /// The hash of all messages so far.
    pub(super) fn transcript_hash(&self) -> hash::Output {
        self.transcript.fork_finish()
    }

    /// The secrets of the handshake's records.
    pub(super) const fn secrets(&self) -> &TrafficSecrets {
        &self.secrets
    }

    /// What the server's Finished says, after all messages before it were added.
    ///
    /// # Errors
    /// Never: the lengths are fixed.
    pub(super) fn server_finished(&self) -> Result<hmac::Tag, Cause> {
        verify_data(self.secrets.suite, &self.secrets.server, self.transcript_hash().as_ref())
    }

    /// What the client's Finished must say, and the secrets of the records after it, once the server's Finished was added.
    ///
    /// # Errors
    /// Never: the lengths are fixed.
    pub(super) fn finish(self) -> Result<(hmac::Tag, TrafficSecrets), Cause> {
        let hash = self.transcript.finish();
        let suite = self.secrets.suite;
        let finished = verify_data(suite, &self.secrets.client, hash.as_ref())?;
        Ok((finished, TrafficSecrets::of_application(suite, &*self.handshake_secret, hash.as_ref())?))
    }
}

impl TrafficSecrets {
    fn of_handshake(suite: &'static Tls13CipherSuite, secret: &dyn HkdfExpander, hash: &[u8]) -> Result<Self, Cause> {
        let (client, server) = (derive(secret, b"c hs traffic", hash)?, derive(secret, b"s hs traffic", hash)?);
        Ok(Self { suite, client, server })
    }

    fn of_application(
        suite: &'static Tls13CipherSuite,
        handshake_secret: &dyn HkdfExpander,
        hash: &[u8],
    ) -> Result<Self, Cause> {
        let derived = derive(handshake_secret, b"derived", suite.common.hash_provider.hash(b"").as_ref())?;
        let master = suite.hkdf_provider.extract_from_zero_ikm(Some(derived.as_ref()));
        let (client, server) = (derive(&*master, b"c ap traffic", hash)?, derive(&*master, b"s ap traffic", hash)?);
        Ok(Self { suite, client, server })
    }

    /// How many records one key may protect.
    pub(super) const fn record_limit(&self) -> u64 {
        self.suite.common.confidentiality_limit
    }

    /// The server's direction from its first record on.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] for a cipher that rustls gains one day.
    pub(super) fn server_half(&self) -> Result<Half, Cause> {
        half(self.suite, &self.server)
    }

    /// The client's direction from its first record on.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] for a cipher that rustls gains one day.
    pub(super) fn client_half(&self) -> Result<Half, Cause> {
        half(self.suite, &self.client)
    }
}

impl PostHandshake for TrafficSecrets {
    fn renew_ours(&mut self) -> Result<Half, Cause> {
        self.server = next(self.suite, &self.server)?;
        self.server_half()
    }

    fn renew_theirs(&mut self) -> Result<Half, Cause> {
        self.client = next(self.suite, &self.client)?;
        self.client_half()
    }
}

fn handshake_secret(suite: &'static Tls13CipherSuite, shared: &[u8]) -> Result<Box<dyn HkdfExpander>, Cause> {
    let early = suite.hkdf_provider.extract_from_zero_ikm(None);
    let derived = derive(&*early, b"derived", suite.common.hash_provider.hash(b"").as_ref())?;
    Ok(suite.hkdf_provider.extract_from_secret(Some(derived.as_ref()), shared))
}

/// HKDF-Expand-Label (RFC 8446 §7.1).
fn expand(secret: &dyn HkdfExpander, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), Cause> {
    let length = u16::try_from(out.len()).map_err(|_| TOO_LONG)?.to_be_bytes();
    let label_length = [u8::try_from(b"tls13 ".len() + label.len()).map_err(|_| TOO_LONG)?];
    let context_length = [u8::try_from(context.len()).map_err(|_| TOO_LONG)?];
    let info = [&length[..], &label_length, b"tls13 ", label, &context_length, context];
    secret.expand_slice(&info, out).map_err(|_| TOO_LONG)
}

/// A secret as long as the hash (Derive-Secret, RFC 8446 §7.1).
fn derive(secret: &dyn HkdfExpander, label: &[u8], context: &[u8]) -> Result<OkmBlock, Cause> {
    let mut block = Zeroizing::new([0; OkmBlock::MAX_LEN]);
    let out = block.get_mut(..secret.hash_len()).ok_or(TOO_LONG)?;
    expand(secret, label, context, out)?;
    Ok(OkmBlock::new(out))
}

/// What a Finished says (RFC 8446 §4.4.4).
fn verify_data(suite: &'static Tls13CipherSuite, secret: &OkmBlock, hash: &[u8]) -> Result<hmac::Tag, Cause> {
    let key = derive(&*suite.hkdf_provider.expander_for_okm(secret), b"finished", b"")?;
    Ok(suite.hkdf_provider.hmac_sign(&key, hash))
}

/// The secret after this one (RFC 8446 §7.2).
fn next(suite: &'static Tls13CipherSuite, secret: &OkmBlock) -> Result<OkmBlock, Cause> {
    derive(&*suite.hkdf_provider.expander_for_okm(secret), b"traffic upd", b"")
}

/// The keys of one direction (RFC 8446 §7.3).
fn half(suite: &'static Tls13CipherSuite, secret: &OkmBlock) -> Result<Half, Cause> {
    let secret = suite.hkdf_provider.expander_for_okm(secret);
    let algorithm = algorithm(suite)?;
    let (mut key, mut iv) = (Zeroizing::new([0; LONGEST_KEY]), [0; 12]);
    let key = key.get_mut(..algorithm.key_len()).ok_or(TOO_LONG)?;
    expand(&*secret, b"key", b"", key)?;
    expand(&*secret, b"iv", b"", &mut iv)?;
    Half::with(Edition::Tls13, 0, algorithm, key, iv)
}

fn algorithm(suite: &Tls13CipherSuite) -> Result<&'static Algorithm, Cause> {
    match suite.common.suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => Ok(&AES_128_GCM),
        CipherSuite::TLS13_AES_256_GCM_SHA384 => Ok(&AES_256_GCM),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Ok(&CHACHA20_POLY1305),
        _ => Err(Cause::Unsupported("a cipher of TLS")),
    }
}

#[cfg(test)]
mod tests {
    //! The simple handshake of RFC 8448 §3.

    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

    use super::*;

    const SHARED: &str = "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d";
    /// ClientHello and ServerHello.
    const HELLOS: &str = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8";
    /// Up to the server's CertificateVerify, and up to its Finished.
    const VERIFIED: &str = "edb7725fa7a3473b031ec8ef65a2485493900138a2b91291407d7951a06110ed";
    const FINISHED: &str = "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13";

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn suite() -> &'static Tls13CipherSuite {
        TLS13_AES_128_GCM_SHA256.tls13().unwrap()
    }

    /// A record with the keys that RFC 8448 gives for a traffic secret.
    fn record(half: Half) -> Vec<u8> {
        let (mut half, mut wire) = (half, Vec::new());
        half.seal(23, b"data", &mut wire).unwrap();
        wire
    }

    fn golden(key: &str, iv: &str) -> Vec<u8> {
        record(Half::with(Edition::Tls13, 0, &AES_128_GCM, &bytes(key), bytes(iv).try_into().unwrap()).unwrap())
    }

    #[test]
    fn golden_secrets_of_the_handshake() {
        let secret = handshake_secret(suite(), &bytes(SHARED)).unwrap();
        let secrets = TrafficSecrets::of_handshake(suite(), &*secret, &bytes(HELLOS)).unwrap();
        let client = "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21";
        let server = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
        assert_eq!((hex::encode(&secrets.client), hex::encode(&secrets.server)), (client.into(), server.into()));
        let keys = golden("3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30");
        assert_eq!(record(secrets.server_half().unwrap()), keys);
        let keys = golden("dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f");
        assert_eq!(record(secrets.client_half().unwrap()), keys);
        let said = verify_data(suite(), &secrets.server, &bytes(VERIFIED)).unwrap();
        assert_eq!(hex::encode(said), "9b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718");
        let said = verify_data(suite(), &secrets.client, &bytes(FINISHED)).unwrap();
        assert_eq!(hex::encode(said), "a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61");
    }

    #[test]
    fn golden_secrets_of_the_data() {
        let secret = handshake_secret(suite(), &bytes(SHARED)).unwrap();
        let secrets = TrafficSecrets::of_application(suite(), &*secret, &bytes(FINISHED)).unwrap();
        let client = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
        let server = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
        assert_eq!((hex::encode(&secrets.client), hex::encode(&secrets.server)), (client.into(), server.into()));
        let keys = golden("9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984");
        assert_eq!(record(secrets.server_half().unwrap()), keys);
        let keys = golden("17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9");
        assert_eq!(record(secrets.client_half().unwrap()), keys);
    }
}
