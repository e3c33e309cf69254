//! One node, described once for the server that plays it and for the clients that dial it.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const ID: &str = "7d4f4b57-6d0a-4e0f-9a43-1f0d4cf0a5b1";
const PASSWORD: &str = "correct-horse_battery.staple";
/// The name in the server's certificate.
pub const SERVER_NAME: &str = "peer.bench.test";
const PATH: &str = "/carry";
const METHOD: &str = "aes-256-gcm";
const SHORT_ID: &str = "0123456789abcdef";

/// A pair of X25519 keys for REALITY, base64url.
#[derive(Clone, Debug, Default)]
pub struct RealityKeys {
    /// The server's.
    pub private: String,
    /// The clients'.
    pub public: String,
}

impl RealityKeys {
    /// A new pair, made by the program sing-box.
    ///
    /// # Errors
    /// When it makes none.
    pub fn generate(sing_box: &Path) -> anyhow::Result<Self> {
        let output = Command::new(sing_box).args(["generate", "reality-keypair"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let word = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|word| word.trim().to_owned()).with_context(|| format!("no {name} in {text:?}"))
        };
        Ok(Self { private: word("PrivateKey:")?, public: word("PublicKey:")? })
    }
}

/// The rows of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum NodeKind {
    Shadowsocks,
    Vmess,
    VlessWebSocketTls,
    TrojanTls,
    VlessRealityVision,
    Hysteria2,
}

/// Writes the certificate of the servers and its key into a folder, where [`NodeKind::inbound`] looks for them.
///
/// # Errors
/// When they cannot be made or written.
pub fn certificate(folder: &Path) -> anyhow::Result<()> {
    certificate_for(folder, &[SERVER_NAME])
}

/// The same for servers with these names.
pub(crate) fn certificate_for(folder: &Path, names: &[&str]) -> anyhow::Result<()> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = rcgen::generate_simple_self_signed(names)?;
    fs::write(folder.join("server.pem"), certificate.cert.pem())?;
    fs::write(folder.join("server.key"), certificate.signing_key.serialize_pem())?;
    Ok(())
}

impl NodeKind {
    /// Every row, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Shadowsocks,
        Self::Vmess,
        Self::VlessWebSocketTls,
        Self::TrojanTls,
        Self::VlessRealityVision,
        Self::Hysteria2,
    ];

    /// What the table calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadowsocks => "ss aes-256-gcm",
            Self::Vmess => "vmess aes-128-gcm",
            Self::VlessWebSocketTls => "vless ws tls",
            Self::TrojanTls => "trojan tls",
            Self::VlessRealityVision => "vless reality vision",
            Self::Hysteria2 => "hysteria2",
        }
    }

    /// The share link. Certificates are not verified, by none of the clients.
    #[must_use]
    pub fn link(self, server: SocketAddr, keys: &RealityKeys) -> String {
        match self {
            Self::Shadowsocks => {
                format!("ss://{}@{server}", URL_SAFE_NO_PAD.encode(format!("{METHOD}:{PASSWORD}")))
            }
            Self::Vmess => format!("vmess://{ID}@{server}?encryption=aes-128-gcm&type=tcp&security=none"),
            Self::VlessWebSocketTls => format!(
                "vless://{ID}@{server}?encryption=none&type=ws&path={PATH}&security=tls&sni={SERVER_NAME}&allowInsecure=1"
            ),
            Self::TrojanTls => {
                format!("trojan://{PASSWORD}@{server}?type=tcp&security=tls&sni={SERVER_NAME}&allowInsecure=1")
            }
            Self::VlessRealityVision => format!(
                "vless://{ID}@{server}?encryption=none&flow=xtls-rprx-vision&type=tcp&security=reality&sni={SERVER_NAME}\
                 &fp=chrome&pbk={}&sid={SHORT_ID}",
                keys.public
            ),
            Self::Hysteria2 => format!("hysteria2://{PASSWORD}@{server}?sni={SERVER_NAME}&insecure=1"),
        }
    }

    /// Whether what is carried is TLS: without it, Vision has nothing to hand over.
    #[must_use]
    pub const fn inner_tls(self) -> bool {
        matches!(self, Self::VlessRealityVision)
    }

    /// The inbound of sing-box as the server; none for REALITY, which many builds of it cannot play.
    #[must_use]
    pub fn inbound(self, server: SocketAddr, folder: &Path) -> Option<Value> {
        let tls = json!({
            "enabled": true,
            "certificate_path": folder.join("server.pem"),
            "key_path": folder.join("server.key"),
        });
        let mut inbound = match self {
            Self::Shadowsocks => json!({ "type": "shadowsocks", "method": METHOD, "password": PASSWORD }),
            Self::Vmess => json!({ "type": "vmess", "users": [{ "uuid": ID, "alterId": 0 }] }),
            Self::VlessWebSocketTls => json!({
                "type": "vless", "users": [{ "uuid": ID }], "tls": tls, "transport": { "type": "ws", "path": PATH },
            }),
            Self::TrojanTls => json!({ "type": "trojan", "users": [{ "password": PASSWORD }], "tls": tls }),
            Self::VlessRealityVision => return None,
            Self::Hysteria2 => {
                let mut tls = tls;
                tls["alpn"] = json!(["h3"]);
                json!({ "type": "hysteria2", "users": [{ "password": PASSWORD }], "tls": tls })
            }
        };
        inbound["listen"] = json!(server.ip());
        inbound["listen_port"] = json!(server.port());
        Some(inbound)
    }

    /// The configuration of Xray as the REALITY server; `site` is the TLS server behind it.
    #[must_use]
    pub fn reality_server(server: SocketAddr, keys: &RealityKeys, site: SocketAddr) -> Value {
        json!({
            "log": { "loglevel": "none" },
            "inbounds": [{
                "listen": server.ip(), "port": server.port(), "protocol": "vless",
                "settings": { "clients": [{ "id": ID, "flow": "xtls-rprx-vision" }], "decryption": "none" },
                "streamSettings": {
                    "network": "raw", "security": "reality",
                    "realitySettings": {
                        "target": site.to_string(), "serverNames": [SERVER_NAME],
                        "privateKey": keys.private, "shortIds": [SHORT_ID],
                    },
                },
            }],
            "outbounds": [{ "protocol": "freedom" }],
        })
    }

    /// The configuration of Xray as a client of that server.
    #[must_use]
    pub fn reality_client(socks: SocketAddr, server: SocketAddr, keys: &RealityKeys) -> Value {
        json!({
            "log": { "loglevel": "none" },
            "inbounds": [{ "listen": socks.ip(), "port": socks.port(), "protocol": "socks", "settings": { "udp": false } }],
            "outbounds": [{
                "protocol": "vless",
                "settings": { "vnext": [{
                    "address": server.ip(), "port": server.port(),
                    "users": [{ "id": ID, "flow": "xtls-rprx-vision", "encryption": "none" }],
                }] },
                "streamSettings": {
                    "network": "raw", "security": "reality",
                    "realitySettings": {
                        "serverName": SERVER_NAME, "fingerprint": "chrome",
                        "publicKey": keys.public, "shortId": SHORT_ID,
                    },
                },
            }],
        })
    }

    /// The outbound of sing-box as a client.
    #[must_use]
    pub fn outbound(self, server: SocketAddr, keys: &RealityKeys) -> Value {
        let tls = json!({ "enabled": true, "server_name": SERVER_NAME, "insecure": true });
        let mut outbound = match self {
            Self::Shadowsocks => json!({ "type": "shadowsocks", "method": METHOD, "password": PASSWORD }),
            Self::Vmess => json!({ "type": "vmess", "uuid": ID, "security": "aes-128-gcm" }),
            Self::VlessWebSocketTls => {
                json!({ "type": "vless", "uuid": ID, "tls": tls, "transport": { "type": "ws", "path": PATH } })
            }
            Self::TrojanTls => json!({ "type": "trojan", "password": PASSWORD, "tls": tls }),
            Self::VlessRealityVision => json!({
                "type": "vless",
                "uuid": ID,
                "flow": "xtls-rprx-vision",
                "tls": {
                    "enabled": true,
                    "server_name": SERVER_NAME,
                    "utls": { "enabled": true, "fingerprint": "chrome" },
                    "reality": { "enabled": true, "public_key": keys.public, "short_id": SHORT_ID },
                },
            }),
            Self::Hysteria2 => json!({ "type": "hysteria2", "password": PASSWORD, "tls": tls }),
        };
        outbound["tag"] = json!("node");
        outbound["server"] = json!(server.ip());
        outbound["server_port"] = json!(server.port());
        outbound
    }

    /// The entry of mihomo's `proxies`.
    #[must_use]
    pub fn proxy(self, server: SocketAddr, keys: &RealityKeys) -> Value {
        let mut proxy = match self {
            Self::Shadowsocks => json!({ "type": "ss", "cipher": METHOD, "password": PASSWORD }),
            Self::Vmess => json!({ "type": "vmess", "uuid": ID, "alterId": 0, "cipher": "aes-128-gcm" }),
            Self::VlessWebSocketTls => json!({
                "type": "vless", "uuid": ID, "tls": true, "servername": SERVER_NAME, "skip-cert-verify": true,
                "network": "ws", "ws-opts": { "path": PATH },
            }),
            Self::TrojanTls => {
                json!({ "type": "trojan", "password": PASSWORD, "sni": SERVER_NAME, "skip-cert-verify": true })
            }
            Self::VlessRealityVision => json!({
                "type": "vless", "uuid": ID, "tls": true, "servername": SERVER_NAME, "flow": "xtls-rprx-vision",
                "client-fingerprint": "chrome",
                "reality-opts": { "public-key": keys.public, "short-id": SHORT_ID },
            }),
            Self::Hysteria2 => {
                json!({ "type": "hysteria2", "password": PASSWORD, "sni": SERVER_NAME, "skip-cert-verify": true })
            }
        };
        proxy["name"] = json!("node");
        proxy["server"] = json!(server.ip());
        proxy["port"] = json!(server.port());
        proxy
    }
}
