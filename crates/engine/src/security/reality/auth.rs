//! How a REALITY client authenticates to the server inside the session id (as XTLS/REALITY does it).
//!
//! ```text
//! AuthKey    = HKDF-SHA256(X25519(our share's key, server's key), salt = random[0..20], "REALITY"), 32 bytes
//! session id = AES-256-GCM(AuthKey, nonce = random[20..32], AAD = the hello with 32 zeroes as session id) of
//!              | version x y z 0 | Unix time | short id |
//!              |        4        |     4     |    8     |
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    aead::AES_256_GCM,
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use hezar_core::ShortId;
use rustls::Error;
use zeroize::Zeroizing;

use crate::io::aead::AeadKey;

/// The version of Xray that we say we are: servers may set bounds.
pub(super) const CLIENT_VERSION: [u8; 3] = [26, 3, 27];

/// The secret that client and server share for one connection.
pub(super) type AuthKey = Zeroizing<[u8; 32]>;

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// Derives the key from the X25519 secret and the client's random.
///
/// # Errors
/// Never: the lengths are fixed.
pub(super) fn key(secret: &[u8; 32], random: &[u8; 32]) -> Result<AuthKey, Error> {
    let failed = |_| Error::General("HKDF failed".into());
    let mut key = AuthKey::default();
    let salt = random.get(..20).unwrap_or_default();
    let derived = Salt::new(HKDF_SHA256, salt).extract(secret);
    derived.expand(&[b"REALITY"], Length).map_err(failed)?.fill(&mut *key).map_err(failed)?;
    Ok(key)
}

/// The Unix time in seconds, in 32 bits as both sides count it.
pub(super) fn unix_time() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(now & u64::from(u32::MAX)).unwrap_or_default()
}

/// Seals the session id for a hello; `now` is in Unix seconds.
///
/// # Errors
/// Never: the lengths are fixed.
pub(super) fn session_id(
    key: &AuthKey,
    random: &[u8; 32],
    hello: &[u8],
    short_id: ShortId,
    now: u32,
) -> Result<[u8; 32], Error> {
    let failed = || Error::General("the session id cannot be sealed".into());
    let nonce = random.get(20..).and_then(|nonce| nonce.try_into().ok()).ok_or_else(failed)?;
    let mut id = Vec::with_capacity(32);
    id.extend_from_slice(&CLIENT_VERSION);
    id.push(0);
    id.extend_from_slice(&now.to_be_bytes());
    id.extend_from_slice(&short_id.padded());
    let aead = AeadKey::new(&AES_256_GCM, &**key).map_err(|_| failed())?;
    aead.seal(nonce, hello, &mut id, 0).map_err(|_| failed())?;
    id.try_into().map_err(|_| failed())
}
