//! What a REALITY client shows in the session id of its hello ([`auth`]).

use aws_lc_rs::{aead::AES_256_GCM, agreement::PrivateKey};
use zeroize::Zeroizing;

use super::client_hello::ClientHello;
use crate::{
    io::aead::AeadKey,
    security::{
        client_hello::{SESSION_ID, X25519, X25519_MLKEM768, agreed},
        reality::auth::{self, AuthKey},
    },
};

/// The length of a share of X25519MLKEM768: the ML-KEM encapsulation key, and then the X25519 key.
const HYBRID: usize = 1184 + 32;

/// What the session id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The client's clock in Unix seconds.
    pub(super) time: u32,
    /// The short id, filled up with zeroes.
    pub(super) short_id: [u8; 8],
}

/// Opens the session id, and returns the secret of the connection with it; `None` when it is not for `ours`.
pub(super) fn open(ours: &PrivateKey, hello: &ClientHello) -> Option<(AuthKey, Shown)> {
    let random = hello.random()?;
    let secret = Zeroizing::new(agreed(ours, x25519_share(hello)?).ok()?);
    let key = auth::key(&secret, random).ok()?;
    let mut sealed = *hello.session_id()?;
    let mut message = hello.message().to_vec();
    message.get_mut(SESSION_ID)?.fill(0);
    let nonce = random.get(20..)?.try_into().ok()?;
    let aead = AeadKey::new(&AES_256_GCM, &*key).ok()?;
    let &mut [_, _, _, _, a, b, c, d, ref short_id @ ..] = aead.open(nonce, &message, &mut sealed)? else {
        return None;
    };
    let short_id = (*short_id).try_into().ok()?;
    Some((key, Shown { time: u32::from_be_bytes([a, b, c, d]), short_id }))
}

/// The X25519 key of a client: that of the share of X25519 alone if there is one, else the end of the hybrid share.
fn x25519_share(hello: &ClientHello) -> Option<&[u8]> {
    let hybrid = || hello.share(X25519_MLKEM768).filter(|share| share.len() == HYBRID)?.get(HYBRID - 32..);
    hello.share(X25519).filter(|share| share.len() == 32).or_else(hybrid)
}
