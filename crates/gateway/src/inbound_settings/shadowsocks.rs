//! The settings of a Shadowsocks server.

use hezar_core::{Secret, choices, settings};

use super::decode_any;

settings! {
    /// The cipher of a Shadowsocks listener, and its own key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InboundShadowsocks in "shadowsocks" {
        /// The cipher; those of 2022 (SIP022) know a key for each user, and refuse what is sent a second time.
        pub method: ShadowsocksMethod = ShadowsocksMethod::Aes128Gcm2022;
        /// The server's own key, for the ciphers of 2022: 16 bytes in base64 for aes-128, 32 for aes-256; `hezar key shadowsocks` makes one.
        pub key: Option<Secret> = None;
    }
}

impl InboundShadowsocks {
    /// The bytes of the server's own key; `None` when there is none of the length that the cipher needs.
    #[must_use]
    pub fn server_key(&self) -> Option<Vec<u8>> {
        let bytes = decode_any(self.key.as_ref()?.expose())?;
        (Some(bytes.len()) == self.method.key_length()).then_some(bytes)
    }
}

/// A cipher of Shadowsocks. That of 2022 with ChaCha20 is not among them: it has no keys of users (SIP023 is of AES alone).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShadowsocksMethod {
    /// `2022-blake3-aes-128-gcm`
    Aes128Gcm2022,
    /// `2022-blake3-aes-256-gcm`
    Aes256Gcm2022,
    /// `aes-128-gcm`
    Aes128Gcm,
    /// `aes-256-gcm`
    Aes256Gcm,
    /// `chacha20-ietf-poly1305`
    Chacha20Poly1305,
}

impl ShadowsocksMethod {
    /// Every cipher.
    pub const ALL: [Self; 5] =
        [Self::Aes128Gcm2022, Self::Aes256Gcm2022, Self::Aes128Gcm, Self::Aes256Gcm, Self::Chacha20Poly1305];

    /// Its standard name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm2022 => "2022-blake3-aes-128-gcm",
            Self::Aes256Gcm2022 => "2022-blake3-aes-256-gcm",
            Self::Aes128Gcm => "aes-128-gcm",
            Self::Aes256Gcm => "aes-256-gcm",
            Self::Chacha20Poly1305 => "chacha20-ietf-poly1305",
        }
    }

    /// The length of its keys in bytes, for the ciphers of 2022 (SIP022, section 2.1); `None` for those that make keys of passwords.
    #[must_use]
    pub const fn key_length(self) -> Option<usize> {
        match self {
            Self::Aes128Gcm2022 => Some(16),
            Self::Aes256Gcm2022 => Some(32),
            Self::Aes128Gcm | Self::Aes256Gcm | Self::Chacha20Poly1305 => None,
        }
    }

    /// Whether a request says whose it is, since each user has a key beside the server's (SIP023); else every user's key is tried.
    #[must_use]
    pub const fn has_identities(self) -> bool {
        matches!(self, Self::Aes128Gcm2022 | Self::Aes256Gcm2022)
    }
}

choices!(ShadowsocksMethod);
