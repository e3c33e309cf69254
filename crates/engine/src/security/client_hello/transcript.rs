//! The handshake's transcript with our hellos in the place of rustls' own.
//!
//! rustls hashes the hello that it wrote; the server hashes the one that it received. The hash function of a cipher
//! suite is the provider's, so ours looks at what is hashed first: when it is a ClientHello whose random has a
//! substitute, the substitute is hashed. After a HelloRetryRequest three messages are hashed first (RFC 8446 §4.4.1):
//! one with the hash of the first hello, which was made here too, the request, and the second hello.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use parking_lot::Mutex;
use rustls::{
    CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite,
    crypto::{
        aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256},
        hash::{Context, Hash, HashAlgorithm, Output},
    },
};

use super::retry::random_of;
use crate::security::message_reader::message_header;

const CLIENT_HELLO: u8 = 1;
/// The synthetic message that stands for the first hello.
const MESSAGE_HASH: u8 = 254;

pub(super) type Random = [u8; 32];

/// The hellos of one handshake.
struct Hellos {
    first: Arc<[u8]>,
    second: Option<Arc<[u8]>>,
}

/// The hellos on their way, by their random.
static SUBSTITUTES: LazyLock<Mutex<HashMap<Random, Hellos>>> = LazyLock::new(Mutex::default);

/// A hello that stands in for rustls' own until this is dropped.
#[derive(Debug)]
pub(super) struct Substitute(Random);

impl Substitute {
    /// Makes `hello`, a whole ClientHello message, stand in for the one with the same random.
    pub(super) fn put(random: Random, hello: Arc<[u8]>) -> Self {
        SUBSTITUTES.lock().insert(random, Hellos { first: hello, second: None });
        Self(random)
    }
}

impl Drop for Substitute {
    fn drop(&mut self) {
        SUBSTITUTES.lock().remove(&self.0);
    }
}

/// Makes `hello` stand in for the second hello with this random, as long as the first one is substituted.
pub(super) fn add_second(random: &Random, hello: Arc<[u8]>) {
    if let Some(hellos) = SUBSTITUTES.lock().get_mut(random) {
        hellos.second = Some(hello);
    }
}

/// Whether the hello with this random is substituted at the moment.
#[cfg(test)]
pub(super) fn contains(random: &Random) -> bool {
    SUBSTITUTES.lock().contains_key(random)
}

/// What is hashed in the place of `messages`, the first ones of a transcript: what stands before the hello, and the
/// substitute for that.
fn substitute_for(messages: &[u8]) -> Option<(&[u8], Arc<[u8]>)> {
    let is_second = messages.first() == Some(&MESSAGE_HASH);
    let hello = if is_second { after_first(after_first(messages)?)? } else { messages };
    if hello.first() != Some(&CLIENT_HELLO) {
        return None;
    }
    let random = random_of(hello)?;
    let substitutes = SUBSTITUTES.lock();
    let hellos = substitutes.get(random)?;
    let substitute = if is_second { hellos.second.clone()? } else { Arc::clone(&hellos.first) };
    Some((messages.strip_suffix(hello)?, substitute))
}

/// The messages after the first one.
fn after_first(messages: &[u8]) -> Option<&[u8]> {
    let (_, length) = message_header(messages)?;
    messages.get(length..)
}

/// The TLS 1.3 suites, best first, with such hash functions.
pub(super) fn suites() -> [SupportedCipherSuite; 3] {
    static SUITES: LazyLock<[Option<Tls13CipherSuite>; 3]> = LazyLock::new(|| {
        [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256].map(|suite| {
            let suite = suite.tls13()?;
            let hash: &'static dyn Hash = match suite.common.hash_provider.algorithm() {
                HashAlgorithm::SHA384 => &SHA384,
                _ => &SHA256,
            };
            let common = CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: hash,
                confidentiality_limit: suite.common.confidentiality_limit,
            };
            Some(Tls13CipherSuite { common, hkdf_provider: suite.hkdf_provider, aead_alg: suite.aead_alg, quic: None })
        })
    });
    let plain = [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    let mut suites = plain;
    for (place, suite) in suites.iter_mut().zip(&*SUITES) {
        if let Some(suite) = suite {
            *place = SupportedCipherSuite::Tls13(suite);
        }
    }
    suites
}

static SHA256: Substituting = Substituting(TLS13_AES_128_GCM_SHA256);
static SHA384: Substituting = Substituting(TLS13_AES_256_GCM_SHA384);

/// The hash function of a suite, with an eye on the first message.
struct Substituting(SupportedCipherSuite);

impl Substituting {
    fn inner(&self) -> &'static dyn Hash {
        match self.0 {
            SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
            SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        }
    }
}

impl Hash for Substituting {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Transcript { inner: self.inner().start(), begun: false })
    }

    fn hash(&self, data: &[u8]) -> Output {
        self.inner().hash(data)
    }

    fn output_len(&self) -> usize {
        self.inner().output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.inner().algorithm()
    }
}

struct Transcript {
    inner: Box<dyn Context>,
    begun: bool,
}

impl Context for Transcript {
    fn fork_finish(&self) -> Output {
        self.inner.fork_finish()
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self { inner: self.inner.fork(), begun: self.begun })
    }

    fn finish(self: Box<Self>) -> Output {
        self.inner.finish()
    }

    fn update(&mut self, data: &[u8]) {
        if !self.begun && !data.is_empty() {
            self.begun = true;
            if let Some((before, hello)) = substitute_for(data) {
                self.inner.update(before);
                self.inner.update(&hello);
                return;
            }
        }
        self.inner.update(data);
    }
}
