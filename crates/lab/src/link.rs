//! The share links of the servers and the credentials in them.

use std::net::SocketAddr;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rand::{Rng, RngExt};
use uuid::Uuid;

use crate::Kind;

/// What a client must present.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    /// The user, where the protocol has one.
    pub(crate) user: String,
    /// The password: for Shadowsocks 2022 the server's key and the user's, each of 32 bytes in base64 (SIP023).
    pub(crate) password: String,
    /// The user of VLESS.
    pub(crate) id: Uuid,
}

impl Credential {
    /// Makes one up.
    pub(crate) fn random(kind: Kind, rng: &mut impl Rng) -> Self {
        let key: [u8; 32] = rng.random();
        let password = match kind {
            Kind::Shadowsocks2022 => format!("{}:{}", STANDARD.encode(key), STANDARD.encode(rng.random::<[u8; 32]>())),
            _ => URL_SAFE_NO_PAD.encode(&key[..12]),
        };
        let id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
        Self { user: format!("user{}", rng.random_range(100..1000)), password, id }
    }
}

/// The link of a server.
pub(crate) fn link(kind: Kind, address: SocketAddr, credential: &Credential, name: &str) -> String {
    let Credential { user, password, id } = credential;
    match kind {
        Kind::Socks4 => format!("socks4://{user}@{address}#{name}"),
        Kind::Socks4a => format!("socks4a://{user}@{address}#{name}"),
        Kind::Socks5 => format!("socks5://{address}#{name}"),
        Kind::Socks5Auth => format!("socks5://{user}:{password}@{address}#{name}"),
        Kind::Http | Kind::HttpTunnel443 | Kind::HttpPlain | Kind::HttpAnonymous | Kind::HttpTransparent => {
            format!("http://{address}#{name}")
        }
        Kind::HttpAuth => format!("http://{user}:{password}@{address}#{name}"),
        Kind::ShadowsocksAes128 | Kind::ShadowsocksChacha20 | Kind::Shadowsocks2022 => {
            let pair = format!("{}:{password}", kind.method().unwrap_or_default());
            format!("ss://{}@{address}#{name}", URL_SAFE_NO_PAD.encode(pair))
        }
        Kind::Trojan => format!("trojan://{password}@{address}?security=none&type=tcp#{name}"),
        Kind::Vless => format!("vless://{id}@{address}?encryption=none&security=none&type=tcp#{name}"),
    }
}
