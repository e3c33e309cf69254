//! The credentials of a row, the same on both sides.

use aws_lc_rs::{
    agreement::{self, PrivateKey},
    signature::{KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use crate::row::{Protocol, Row};

pub(crate) const USER: &str = "interop";
pub(crate) const PASSWORD: &str = "correct-horse_battery.staple";
pub(crate) const ID: &str = "7d4f4b57-6d0a-4e0f-9a43-1f0d4cf0a5b1";
/// Where WebSocket servers listen inside HTTP.
pub(crate) const PATH: &str = "/carry";
/// The gRPC service's name.
pub(crate) const SERVICE: &str = "carry service/1";
/// The gRPC service's name as a path with the names of both methods.
pub(crate) const SERVICE_PATH: &str = "/carry/service/One|Many";
/// XHTTP's `extra`, the same on both sides; the session's place has two names in Xray's history.
pub(crate) const EXTRA: &str = r#"{"xPaddingObfsMode":true,"xPaddingPlacement":"header","xPaddingHeader":"X-Token",
    "xPaddingMethod":"tokenish","xPaddingBytes":"50-120","sessionPlacement":"cookie","sessionIDPlacement":"cookie",
    "seqPlacement":"query","uplinkHTTPMethod":"PUT","scMaxEachPostBytes":100000}"#;
/// The name in the certificate of every server.
pub(crate) const SERVER_NAME: &str = "peer.interop.test";

/// What hides the packets of a disguised Hysteria 2 server.
pub(crate) const OBFS_PASSWORD: &str = "a-lizard-on-the-wall";
/// The bandwidth that both sides of a Hysteria 2 server promise, in Mbit/s.
pub(crate) const MBPS: u32 = 200;

/// The addresses of a tunnel's two ends.
pub(crate) const TUNNEL: [&str; 2] = ["10.9.0.1/32", "10.9.0.2/32"];
/// A tunnel's keys: the private one and the public one of the server, then of the client, then the shared one.
pub(crate) const TUNNEL_SERVER: [&str; 2] =
    ["YKLvyuP5wuuHtkiEu5XoTX2n/p9R1pjbuwjwTEEWlVs=", "S8lcQDldqpqeElTKRlpgUn7ihu6vW2eemkcHLq2Izjw="];
const TUNNEL_CLIENT: [&str; 2] =
    ["eL22RL4B2ogYEL5WI3+bCGXz+P9Ncms4sOtccVFn1lE=", "WWGxbl/+GNXdNNV6BcCRdEWXhFBS8rc0BA2/yiHIiQA="];
pub(crate) const TUNNEL_SHARED: &str = "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=";

/// The public key that the server of a tunnel knows.
pub(crate) const fn tunnel_peer() -> &'static str {
    TUNNEL_CLIENT[1]
}

/// The private key that a client of a tunnel has.
pub(crate) const fn tunnel_key(access: Access) -> &'static str {
    if matches!(access, Access::WrongSecret) { TUNNEL_SERVER[0] } else { TUNNEL_CLIENT[0] }
}

/// The keys of VLESS encryption, made by `xray vlessenc`: the server's private ones, then what its clients are told.
const X25519: [&str; 2] =
    ["YKLvyuP5wuuHtkiEu5XoTX2n_p9R1pjbuwjwTEEWlVs", "S8lcQDldqpqeElTKRlpgUn7ihu6vW2eemkcHLq2Izjw"];
const MLKEM768: [&str; 2] = [
    "FQtd24qxc7ThBtYYzRdvbfo4zyVN4hzge0jiWYDCZP64BMtJM3mIihMuEtSkhB6B7aqNjU2G4RdYZNN44z9osg",
    include_str!("mlkem768.pub"),
];

/// What the server's configuration says of VLESS encryption.
pub(crate) fn decryption(looks: &str, post_quantum: bool) -> String {
    encryption_text(looks, "600s", post_quantum, 0)
}

/// What a client's link says of it.
pub(crate) fn encryption(looks: &str, rtt: &str, post_quantum: bool) -> String {
    encryption_text(looks, rtt, post_quantum, 1)
}

fn encryption_text(looks: &str, time: &str, post_quantum: bool, side: usize) -> String {
    let keys = if post_quantum { vec![X25519[side], MLKEM768[side].trim()] } else { vec![X25519[side]] };
    format!("mlkem768x25519plus.{looks}.{time}.{}", keys.join("."))
}
/// The private key of every REALITY server (RFC 7748 §6.1, Alice's).
pub(crate) const REALITY_KEY: [u8; 32] = [
    0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f,
    0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
];
/// An ECH configuration for public.interop.test, as a link publishes it.
pub(crate) const ECH_LIST: &str = "AGb+DQBiAAAgACBi6LC0MNpXyaoTJuYuCYvFIf3YeBQjEDmKDgjK4ZMvBQAkAAEAAQABAAIAAQADAAIAAQACAA\
                                   IAAgADAAMAAQADAAIAAwADABNwdWJsaWMuaW50ZXJvcC50ZXN0AAA=";
/// The same with its key, as servers take it.
pub(crate) const ECH_KEYS: &str = "ACCGHQgMPUESOGiT1NORLzeDB8SetJa+mf56+Bjyktvq+QBm/g0AYgAAIAAgYuiwtDDaV8mqEybmLgmLxSH92HgUIx\
                                   A5ig4IyuGTLwUAJAABAAEAAQACAAEAAwACAAEAAgACAAIAAwADAAEAAwACAAMAAwATcHVibGljLmludGVyb3AudG\
                                   VzdAAA";
/// The REALITY servers' short id.
pub(crate) const SHORT_ID: &str = "0123abcd";
/// What its ML-DSA-65 key is made from.
pub(crate) const ML_DSA_SEED: [u8; 32] = [5; 32];

const WRONG_PASSWORD: &str = "incorrect-horse_battery.staple";
const WRONG_ID: &str = "00000000-6d0a-4e0f-9a43-1f0d4cf0a5b1";

/// Whether a client presents what the server expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Right,
    /// Another password, key or id.
    WrongSecret,
    /// Another certificate than the server's.
    WrongCertificate,
}

impl Access {
    pub(crate) const fn password(self) -> &'static str {
        if matches!(self, Self::WrongSecret) { WRONG_PASSWORD } else { PASSWORD }
    }

    pub(crate) const fn id(self) -> &'static str {
        if matches!(self, Self::WrongSecret) { WRONG_ID } else { ID }
    }
}

/// The key of a Shadowsocks 2022 server.
pub(crate) fn server_key(method: &str) -> String {
    key(method, 1)
}

/// The key of its user.
pub(crate) fn user_key(method: &str) -> String {
    key(method, 2)
}

/// The public key of every REALITY server, or another one. Empty if there is none for the private key.
pub(crate) fn reality_public_key(access: Access) -> String {
    let mut key = REALITY_KEY;
    key[1] ^= u8::from(access == Access::WrongCertificate);
    let key = PrivateKey::from_private_key(&agreement::X25519, &key).and_then(|key| Ok(key.compute_public_key()?));
    key.map(|key| URL_SAFE_NO_PAD.encode(key.as_ref())).unwrap_or_default()
}

/// The key that verifies the second signature.
pub(crate) fn ml_dsa_public_key() -> String {
    let key = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &ML_DSA_SEED);
    key.map(|key| URL_SAFE_NO_PAD.encode(key.public_key().as_ref())).unwrap_or_default()
}

/// What a client writes as its Shadowsocks password.
pub(crate) fn shadowsocks_password(row: Row, access: Access) -> String {
    let (method, users) = match row.protocol {
        Protocol::Shadowsocks { method, users } => (method, users),
        Protocol::Plugged(plugin) => (plugin.method(), false),
        _ => return String::new(),
    };
    let wrong = access == Access::WrongSecret;
    match (method.starts_with("2022-"), users) {
        (false, _) => access.password().to_owned(),
        (true, false) => key(method, if wrong { 9 } else { 1 }),
        (true, true) => format!("{}:{}", server_key(method), key(method, if wrong { 9 } else { 2 })),
    }
}

fn key(method: &str, fill: u8) -> String {
    STANDARD.encode(vec![fill; if method.contains("aes-128") { 16 } else { 32 }])
}
