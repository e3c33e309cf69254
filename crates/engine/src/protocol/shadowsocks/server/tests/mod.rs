//! The server halves against our own client and against the client of the `shadowsocks` crate, which shares no code with ours.

mod streams;
mod udp;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::ShadowsocksServer;
use crate::served::{CredentialId, InboundKey, Keyring, KeyringKind};

/// Every method that is served.
const METHODS: [&str; 7] = [
    "aes-128-gcm",
    "aes-192-gcm",
    "aes-256-gcm",
    "chacha20-ietf-poly1305",
    "2022-blake3-aes-128-gcm",
    "2022-blake3-aes-256-gcm",
    "2022-blake3-chacha20-poly1305",
];

/// A method, and the keys of its server and users.
#[derive(Clone, Copy)]
struct Listener {
    method: &'static str,
}

impl Listener {
    fn all() -> impl Iterator<Item = Self> {
        METHODS.into_iter().map(|method| Self { method })
    }

    fn is_2022(self) -> bool {
        self.method.starts_with("2022")
    }

    const fn key_length(self) -> usize {
        match self.method.as_bytes() {
            [.., b'1', b'2', b'8', b'-', _, _, _] => 16,
            _ => 32,
        }
    }

    fn server_key(self) -> String {
        BASE64_STANDARD.encode(vec![9; self.key_length()])
    }

    fn server(self) -> ShadowsocksServer {
        ShadowsocksServer::new(self.method, &self.server_key()).unwrap()
    }

    /// The key of a user as the keyring has it.
    fn user_key(self, user: u8) -> Vec<u8> {
        if self.is_2022() { vec![user; self.key_length()] } else { format!("the password of {user}").into_bytes() }
    }

    /// Three users; their credentials are 11, 12 and 13.
    fn keyring(self) -> Keyring {
        self.keyring_of([1, 2, 3])
    }

    fn keyring_of<const N: usize>(self, users: [u8; N]) -> Keyring {
        let kind = if self.is_2022() { KeyringKind::Shadowsocks2022 } else { KeyringKind::Shadowsocks };
        let key = |user| (CredentialId(10 + u64::from(user)), InboundKey::new(self.user_key(user)));
        Keyring::new(kind, users.map(key))
    }

    /// What a client's configuration has as its password.
    fn password(self, user: u8) -> String {
        if !self.is_2022() {
            return String::from_utf8(self.user_key(user)).unwrap();
        }
        let own = BASE64_STANDARD.encode(self.user_key(user));
        if self.method.contains("chacha20") { own } else { format!("{}:{own}", self.server_key()) }
    }
}

#[test]
fn checks_the_settings() {
    let refused = |method: &str, key: &str| ShadowsocksServer::new(method, key).unwrap_err().to_string();
    for method in ["none", "plain", "", "rc4-md5", "aes-256-cfb", "2022-blake3-aes-512-gcm"] {
        assert!(refused(method, "").contains("not supported"), "{}", refused(method, ""));
    }
    let key = |length| BASE64_STANDARD.encode(vec![1; length]);
    for wrong in [String::new(), key(15), key(32), "not base64!".to_owned(), format!("{0}:{0}", key(16))] {
        let text = refused("2022-blake3-aes-128-gcm", &wrong);
        assert!(text.contains("key"), "{wrong}: {text}");
    }
    assert!(ShadowsocksServer::new("2022-blake3-chacha20-poly1305", "").is_ok());
    assert!(ShadowsocksServer::new("aes-256-gcm", "").is_ok());
    let shown = format!("{:?}", Listener { method: "2022-blake3-aes-128-gcm" }.server());
    assert_eq!(shown, "ShadowsocksServer { edition: \"2022\", cipher: Aes128Gcm, .. }");
}
