//! The handshake's transcript with our hello in the place of rustls' own.
//!
//! rustls hashes the hello that it wrote; the server hashes the one that it received. The hash function of a cipher
//! suite is the provider's, so ours looks at the first message: when it is a ClientHello whose random has a substitute,
//! the substitute is hashed.

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

/// Where the random stands in a ClientHello message.
const RANDOM: std::ops::Range<usize> = 6..38;

type Random = [u8; 32];

/// The hellos on their way, by their random.
static SUBSTITUTES: LazyLock<Mutex<HashMap<Random, Arc<[u8]>>>> = LazyLock::new(Mutex::default);

/// A hello that stands in for rustls' own until this is dropped.
#[derive(Debug)]
pub(super) struct Substitute(Random);

impl Substitute {
    /// Makes `hello`, a whole ClientHello message, stand in for the one with the same random.
    pub(super) fn put(random: Random, hello: Arc<[u8]>) -> Self {
        SUBSTITUTES.lock().insert(random, hello);
        Self(random)
    }
}

impl Drop for Substitute {
    fn drop(&mut self) {
        SUBSTITUTES.lock().remove(&self.0);
    }
}

/// How many hellos stand in at the moment.
#[cfg(test)]
pub(super) fn contains(random: &Random) -> bool {
    SUBSTITUTES.lock().contains_key(random)
}

fn substitute_for(message: &[u8]) -> Option<Arc<[u8]>> {
    let random = message.get(RANDOM)?.try_into().ok()?;
    if message.first() != Some(&1) {
        return None;
    }
    SUBSTITUTES.lock().get::<Random>(&random).cloned()
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
            if let Some(hello) = substitute_for(data) {
                self.inner.update(&hello);
                return;
            }
        }
        self.inner.update(data);
    }
}
