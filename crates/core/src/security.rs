//! What protects the bytes between us and a node: nothing, TLS or REALITY.

use std::fmt;

use crate::{Canon, Canonical, Secret};

/// The security layers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecurityKind {
    /// Nothing beneath the protocol.
    None,
    /// TLS (inside QUIC too).
    Tls,
    /// REALITY.
    Reality,
}

impl SecurityKind {
    /// The name in links and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Tls => "tls",
            Self::Reality => "reality",
        }
    }
}

impl fmt::Display for SecurityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The browser whose ClientHello is imitated (`fp` in links, after uTLS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fingerprint {
    /// Chrome.
    Chrome,
    /// Firefox.
    Firefox,
    /// Safari on macOS.
    Safari,
    /// Safari on iOS.
    Ios,
    /// OkHttp on Android.
    Android,
    /// Edge.
    Edge,
    /// The 360 browser.
    Browser360,
    /// The QQ browser.
    Qq,
    /// Any of the browsers.
    Random,
    /// What uTLS calls a hello with shuffled parts.
    Randomized,
}

impl Fingerprint {
    /// Every fingerprint.
    pub const ALL: [Self; 10] = [
        Self::Chrome,
        Self::Firefox,
        Self::Safari,
        Self::Ios,
        Self::Android,
        Self::Edge,
        Self::Browser360,
        Self::Qq,
        Self::Random,
        Self::Randomized,
    ];

    /// The name in links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
            Self::Safari => "safari",
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Edge => "edge",
            Self::Browser360 => "360",
            Self::Qq => "qq",
            Self::Random => "random",
            Self::Randomized => "randomized",
        }
    }

    /// Reads a name; letter case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
    }
}

/// The SHA-256 of a certificate (DER) that the server must present.
pub type Pin = [u8; 32];

/// The pin that stands for one which could not be read: no certificate is known to have this hash, so that a node which
/// carries it accepts no server, whatever else its settings allow.
pub const UNREADABLE_PIN: Pin = [0; 32];

/// TLS as the link describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// The name sent as SNI and checked against the certificate; absent = the server's host.
    pub server_name: Option<Box<str>>,
    /// Whether SNI is left out of the ClientHello.
    pub disable_sni: bool,
    /// Protocols offered by ALPN, best first; empty = the transport's own.
    pub alpn: Vec<Box<str>>,
    /// Whether the certificate is accepted unseen. Pins, if any, are still checked.
    pub skip_verify: bool,
    /// Certificates that are accepted; empty = any that verifies.
    pub pins: Vec<Pin>,
    /// Names to verify the certificate against instead of `server_name` (`vcn`); empty = `server_name`.
    pub verify_names: Vec<Box<str>>,
    /// The ClientHello's shape.
    pub fingerprint: Option<Fingerprint>,
    /// The ECH configuration as published: a base64 ECHConfigList or `domain+https://resolver`.
    pub ech: Option<Box<str>>,
}

impl Tls {
    /// Whether any certificate is accepted: checks are switched off, and no pin takes their place.
    #[must_use]
    pub const fn skips_verification(&self) -> bool {
        self.skip_verify && self.pins.is_empty()
    }
}

impl Canonical for Tls {
    fn canonical(&self, canon: &mut Canon) {
        canon.group("tls");
        canon.text("sni", self.server_name.as_deref().unwrap_or_default());
        canon.flag("disable-sni", self.disable_sni);
        canon.list("alpn", self.alpn.iter().map(AsRef::as_ref));
        canon.flag("skip-verify", self.skip_verify);
        for pin in &self.pins {
            canon.raw("pin", pin);
        }
        canon.list("verify-name", self.verify_names.iter().map(AsRef::as_ref));
        canon.text("fp", self.fingerprint.map_or("", Fingerprint::name));
        canon.text("ech", self.ech.as_deref().unwrap_or_default());
    }
}

/// A REALITY short id: 0 to 8 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ShortId {
    bytes: [u8; 8],
    length: u8,
}

impl ShortId {
    /// Takes 0 to 8 bytes; `None` for more.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut padded = [0; 8];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { bytes: padded, length: u8::try_from(bytes.len()).ok()? })
    }

    /// Reads 0 to 16 hexadecimal digits, an even number; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        Self::new(&hex::decode(text).ok()?)
    }

    /// The hexadecimal digits as links have them, in lower case.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.as_bytes())
    }

    /// The bytes as published.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The 8 bytes on the wire, filled up with zeroes.
    #[must_use]
    pub const fn padded(&self) -> [u8; 8] {
        self.bytes
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShortId(…)")
    }
}

/// REALITY as the link describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reality {
    /// The name sent as SNI; absent = the server's host.
    pub server_name: Option<Box<str>>,
    /// The server's X25519 public key (`pbk`).
    pub public_key: [u8; 32],
    /// The short id (`sid`).
    pub short_id: ShortId,
    /// Where the spider starts on a real site (`spx`).
    pub spider_x: Option<Box<str>>,
    /// The server's ML-DSA-65 verification key (`pqv`), as published.
    pub mldsa65_verify: Option<Secret>,
    /// The ClientHello's shape; absent = Chrome.
    pub fingerprint: Option<Fingerprint>,
    /// Whether the ClientHello is no browser's at all (`fp=none`).
    pub own_hello: bool,
    /// Protocols offered by ALPN; empty = the browser's.
    pub alpn: Vec<Box<str>>,
}

impl Reality {
    /// The name of the ClientHello's shape in links.
    #[must_use]
    pub fn fingerprint_name(&self) -> Option<&'static str> {
        if self.own_hello { Some("none") } else { self.fingerprint.map(Fingerprint::name) }
    }
}

impl Canonical for Reality {
    fn canonical(&self, canon: &mut Canon) {
        canon.group("reality");
        canon.text("sni", self.server_name.as_deref().unwrap_or_default());
        canon.raw("pbk", &self.public_key);
        canon.raw("sid", self.short_id.as_bytes());
        canon.text("spx", self.spider_x.as_deref().unwrap_or_default());
        canon.text("pqv", self.mldsa65_verify.as_ref().map_or("", Secret::expose));
        canon.text("fp", self.fingerprint_name().unwrap_or_default());
        canon.list("alpn", self.alpn.iter().map(AsRef::as_ref));
    }
}

/// The security layer of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// Nothing.
    None,
    /// TLS.
    Tls(Tls),
    /// REALITY.
    Reality(Reality),
}

impl Security {
    /// Its name.
    #[must_use]
    pub const fn kind(&self) -> SecurityKind {
        match self {
            Self::None => SecurityKind::None,
            Self::Tls(_) => SecurityKind::Tls,
            Self::Reality(_) => SecurityKind::Reality,
        }
    }
}

impl Canonical for Security {
    fn canonical(&self, canon: &mut Canon) {
        match self {
            Self::None => {}
            Self::Tls(tls) => tls.canonical(canon),
            Self::Reality(reality) => reality.canonical(canon),
        }
    }
}

impl Canonical for Option<Tls> {
    fn canonical(&self, canon: &mut Canon) {
        if let Some(tls) = self {
            tls.canonical(canon);
        }
    }
}
