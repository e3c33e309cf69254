//! The key of a user, from which everything derives that a client shows to an encrypted inbound.

use std::fmt;

use hezar_core::{
    Secret,
    settings::{Given, Optional, SettingValue},
};

use crate::inbound_settings::{decode, encode};

/// 32 random bytes of a user; in text, base64url. They are hidden in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserKey([u8; 32]);

impl UserKey {
    /// Takes the 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// The text for a configuration or the store, in base64url.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        Secret::new(encode(&self.0))
    }

    /// The 32 bytes.
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey(…)")
    }
}

impl SettingValue for UserKey {
    type Range = ();
    const HIDES_WRONG_TEXT: bool = true;

    fn parse(given: &Given, (): &()) -> Option<Self> {
        decode(given.text()?).map(Self)
    }

    fn expected((): &()) -> String {
        "32 random bytes in base64, as `hezar user key NAME --new` makes them".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::hidden())
    }
}

impl Optional for UserKey {}

/// A UUID that a VLESS client shows; in `Debug` it is hidden like a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VlessId(uuid::Uuid);

impl VlessId {
    /// The UUID.
    #[must_use]
    pub const fn expose(&self) -> uuid::Uuid {
        self.0
    }
}

impl fmt::Debug for VlessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VlessId(…)")
    }
}

impl SettingValue for VlessId {
    type Range = ();
    const HIDES_WRONG_TEXT: bool = true;

    fn parse(given: &Given, (): &()) -> Option<Self> {
        uuid::Uuid::try_parse(given.text()?.trim()).ok().map(Self)
    }

    fn expected((): &()) -> String {
        "a UUID such as \"b831381d-6324-4d53-ad4f-8cda48b30811\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::hidden())
    }
}

impl Optional for VlessId {}
