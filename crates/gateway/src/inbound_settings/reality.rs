//! The settings of a REALITY server.

use std::{fmt, time::Duration};

use aws_lc_rs::agreement::{PrivateKey, X25519};
use hezar_core::{
    Secret, ShortId, Target, settings,
    settings::{Given, Optional, SettingValue},
};

use super::{decode, encode};

/// The most short ids of one listener.
const MOST_SHORT_IDS: usize = 64;

settings! {
    /// REALITY in front of a listener: whoever has no key of a user sees the site, byte for byte.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InboundReality in "reality" {
        /// The X25519 private key, 32 bytes in base64url; `hezar key reality` makes one.
        pub private_key: Option<RealityPrivateKey> = None;
        /// The short ids that clients may show, each of 0 to 16 hexadecimal digits; links have the first one.
        pub short_ids: ShortIds = ShortIds::default();
        /// The site that everybody else sees: "self" (the listener's own certificate and fallback), or the host and port of a real one.
        pub site: RealitySite = RealitySite::Own;
        /// The names that clients may ask for; links have the first one. Empty = the name of the site.
        pub server_names: Vec<String> = Vec::new();
        /// How far a client's clock may be from this machine's.
        pub max_clock_difference: Duration [Duration::from_secs(1)..=Duration::from_secs(86_400)] = Duration::from_secs(60);
    }
}

/// An X25519 private key (RFC 7748). It is hidden in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct RealityPrivateKey([u8; 32]);

impl RealityPrivateKey {
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

    /// The 32 bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key, which clients know; `None` when the library refuses the key, which it never does for 32 bytes.
    #[must_use]
    pub fn public_key(&self) -> Option<[u8; 32]> {
        let key = PrivateKey::from_private_key(&X25519, &self.0).ok()?;
        key.compute_public_key().ok()?.as_ref().try_into().ok()
    }

    /// The text for a configuration, in base64url.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        Secret::new(encode(&self.0))
    }
}

impl fmt::Debug for RealityPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RealityPrivateKey(…)")
    }
}

impl SettingValue for RealityPrivateKey {
    type Range = ();
    const HIDES_WRONG_TEXT: bool = true;

    fn parse(given: &Given, (): &()) -> Option<Self> {
        decode(given.text()?).map(Self)
    }

    fn expected((): &()) -> String {
        "an X25519 private key: 32 bytes in base64url".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::hidden())
    }
}

impl Optional for RealityPrivateKey {}

/// The short ids of a REALITY server; never empty: without any, the empty one is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortIds(Vec<ShortId>);

impl Default for ShortIds {
    fn default() -> Self {
        Self(vec![ShortId::default()])
    }
}

impl ShortIds {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[ShortId] {
        &self.0
    }

    /// The one that links have.
    #[must_use]
    pub fn first(&self) -> ShortId {
        self.0.first().copied().unwrap_or_default()
    }
}

impl SettingValue for ShortIds {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let texts = Vec::<String>::parse(given, &())?;
        let read: Vec<ShortId> = texts.iter().map(|text| ShortId::from_hex(text.trim())).collect::<Option<_>>()?;
        (1..=MOST_SHORT_IDS).contains(&read.len()).then_some(Self(read))
    }

    fn expected((): &()) -> String {
        format!("a list of 1 to {MOST_SHORT_IDS} texts, each of 0 to 16 hexadecimal digits (an even number)")
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.0.iter().map(|id| Given::Text(id.to_hex())).collect()))
    }
}

/// What a REALITY server shows whoever is no user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RealitySite {
    /// The listener's own site: its certificate and its fallback.
    #[default]
    Own,
    /// A real site, dialled directly.
    Foreign(Target),
}

impl SettingValue for RealitySite {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        match given.text()?.trim() {
            "self" => Some(Self::Own),
            text => Target::parse(text).ok().map(Self::Foreign),
        }
    }

    fn expected((): &()) -> String {
        "\"self\", or a host and port such as \"www.example.com:443\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(match self {
            Self::Own => "self".to_owned(),
            Self::Foreign(target) => target.to_string(),
        }))
    }
}
