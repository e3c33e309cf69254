//! One inbound, described once for this program and for the peers that serve it, with the credentials of the same user.

use std::path::Path;

use anyhow::{Context, bail};
use hezar_core::{Outbound, StreamProtocol};
use serde_json::{Value, json};

use crate::node::{RealityKeys, SERVER_NAME};

const PATH: &str = "/carry";
const SERVICE: &str = "carry";
/// The server's own key of Shadowsocks 2022.
const SHADOWSOCKS_KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";
const METHOD_2022: &str = "2022-blake3-aes-128-gcm";
const METHOD: &str = "aes-256-gcm";

/// The rows of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum InboundKind {
    Shadowsocks2022,
    Shadowsocks,
    Trojan,
    VlessVision,
    VlessReality,
    VlessWebSocket,
    VlessGrpc,
    VlessXhttp,
    AnyTls,
    Hysteria2,
}

/// What a user shows to an inbound, read from the link that this program gives out.
#[derive(Clone, Debug)]
pub struct Shown(String);

impl Shown {
    /// The credential of a node.
    ///
    /// # Errors
    /// When it is no node of an inbound.
    pub fn of(outbound: &Outbound) -> anyhow::Result<Self> {
        let shown = match outbound {
            Outbound::Shadowsocks(node) => node.password.expose().rsplit(':').next().map(str::to_owned),
            Outbound::Stream(node) => match node.protocol() {
                StreamProtocol::Vless(vless) => Some(vless.id.to_string()),
                StreamProtocol::Trojan(trojan) => Some(trojan.password.expose().to_owned()),
                StreamProtocol::Vmess(_) => None,
            },
            Outbound::AnyTls(node) => Some(node.password.expose().to_owned()),
            Outbound::Hysteria2(node) => Some(node.auth.expose().to_owned()),
            _ => None,
        };
        shown.map(Self).context("it is no node of an inbound")
    }
}

impl InboundKind {
    /// Every row, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Shadowsocks2022,
        Self::Shadowsocks,
        Self::Trojan,
        Self::VlessVision,
        Self::VlessReality,
        Self::VlessWebSocket,
        Self::VlessGrpc,
        Self::VlessXhttp,
        Self::AnyTls,
        Self::Hysteria2,
    ];

    /// What the table calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadowsocks2022 => "ss 2022 aes-128",
            Self::Shadowsocks => "ss aes-256-gcm",
            Self::Trojan => "trojan tls",
            Self::VlessVision => "vless vision tls",
            Self::VlessReality => "vless vision reality",
            Self::VlessWebSocket => "vless ws tls",
            Self::VlessGrpc => "vless grpc tls",
            Self::VlessXhttp => "vless xhttp tls",
            Self::AnyTls => "anytls",
            Self::Hysteria2 => "hysteria2",
        }
    }

    /// Whether what is carried is TLS: without it, Vision has nothing to hand over.
    #[must_use]
    pub const fn inner_tls(self) -> bool {
        matches!(self, Self::VlessVision | Self::VlessReality)
    }

    /// Whether the listener is a UDP socket alone, so that nothing accepts there.
    #[must_use]
    pub const fn is_udp(self) -> bool {
        matches!(self, Self::Hysteria2)
    }

    /// The `kind` and the tables of this program's listener. Strangers at REALITY see the TLS server `site`.
    #[must_use]
    pub fn hezar(self, keys: &RealityKeys, site: &str) -> String {
        const TLS: &str = "[listener.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n";
        let vless = |kind: &str, path: &str| {
            format!("kind = \"vless\"\n{TLS}[listener.transport]\nkind = \"{kind}\"\npath = \"{path}\"\n")
        };
        match self {
            Self::Shadowsocks2022 => format!(
                "kind = \"shadowsocks\"\n[listener.shadowsocks]\nmethod = \"{METHOD_2022}\"\nkey = \"{SHADOWSOCKS_KEY}\"\n"
            ),
            Self::Shadowsocks => format!("kind = \"shadowsocks\"\n[listener.shadowsocks]\nmethod = \"{METHOD}\"\n"),
            Self::Trojan => format!("kind = \"trojan\"\n{TLS}"),
            Self::VlessVision => format!("kind = \"vless\"\n{TLS}"),
            Self::VlessReality => format!(
                "kind = \"vless\"\n[listener.reality]\nprivate_key = \"{}\"\nsite = \"{site}\"\nserver_names = [\"{SERVER_NAME}\"]\n",
                keys.private
            ),
            Self::VlessWebSocket => vless("websocket", PATH),
            Self::VlessGrpc => vless("grpc", SERVICE),
            Self::VlessXhttp => vless("xhttp", PATH),
            Self::AnyTls => format!("kind = \"anytls\"\n{TLS}"),
            Self::Hysteria2 => format!("kind = \"hysteria2\"\n{TLS}"),
        }
    }

    /// The inbound of sing-box; none where it has no such inbound, or many builds of it have none.
    #[must_use]
    pub fn sing_box(self, shown: &Shown, folder: &Path) -> Option<Value> {
        let Shown(shown) = shown;
        let mut tls = json!({
            "enabled": true, "certificate_path": folder.join("server.pem"), "key_path": folder.join("server.key"),
        });
        let user = json!([{ "name": "phone", "password": shown }]);
        let id = json!([{ "name": "phone", "uuid": shown }]);
        Some(match self {
            Self::Shadowsocks2022 => {
                json!({ "type": "shadowsocks", "method": METHOD_2022, "password": SHADOWSOCKS_KEY, "users": user })
            }
            Self::Shadowsocks => json!({ "type": "shadowsocks", "method": METHOD, "password": shown }),
            Self::Trojan => json!({ "type": "trojan", "users": user, "tls": tls }),
            Self::VlessVision => {
                let id = json!([{ "name": "phone", "uuid": shown, "flow": "xtls-rprx-vision" }]);
                json!({ "type": "vless", "users": id, "tls": tls })
            }
            Self::VlessWebSocket => {
                json!({ "type": "vless", "users": id, "tls": tls, "transport": { "type": "ws", "path": PATH } })
            }
            Self::VlessGrpc => {
                let transport = json!({ "type": "grpc", "service_name": SERVICE });
                json!({ "type": "vless", "users": id, "tls": tls, "transport": transport })
            }
            Self::AnyTls => json!({ "type": "anytls", "users": user, "tls": tls }),
            Self::Hysteria2 => {
                tls["alpn"] = json!(["h3"]);
                json!({ "type": "hysteria2", "users": user, "tls": tls })
            }
            Self::VlessReality | Self::VlessXhttp => return None,
        })
    }

    /// The inbound of Xray; none where it has no such inbound. Strangers at REALITY see the TLS server `site`.
    ///
    /// # Errors
    /// When it is asked for a row that it does not serve.
    pub fn xray(self, shown: &Shown, folder: &Path, keys: &RealityKeys, site: &str) -> anyhow::Result<Value> {
        let Shown(shown) = shown;
        let tls = |alpn: &[&str]| {
            let certificate = json!({
                "certificateFile": folder.join("server.pem"), "keyFile": folder.join("server.key"),
            });
            json!({ "certificates": [certificate], "alpn": alpn })
        };
        let stream =
            |network: &str, alpn: &[&str]| json!({ "network": network, "security": "tls", "tlsSettings": tls(alpn) });
        let user = json!([{ "password": shown, "email": "phone" }]);
        let vless = |flow: &str| json!({ "clients": [{ "id": shown, "flow": flow }], "decryption": "none" });
        Ok(match self {
            Self::Shadowsocks2022 => json!({
                "protocol": "shadowsocks",
                "settings": { "method": METHOD_2022, "password": SHADOWSOCKS_KEY, "clients": user, "network": "tcp,udp" },
            }),
            Self::Shadowsocks => {
                let user = json!([{ "method": METHOD, "password": shown, "email": "phone" }]);
                json!({ "protocol": "shadowsocks", "settings": { "clients": user, "network": "tcp,udp" } })
            }
            Self::Trojan => {
                json!({ "protocol": "trojan", "settings": { "clients": user }, "streamSettings": stream("raw", &["http/1.1"]) })
            }
            Self::VlessVision => json!({
                "protocol": "vless", "settings": vless("xtls-rprx-vision"), "streamSettings": stream("raw", &["http/1.1"]),
            }),
            Self::VlessReality => json!({
                "protocol": "vless", "settings": vless("xtls-rprx-vision"),
                "streamSettings": {
                    "network": "raw", "security": "reality",
                    "realitySettings": {
                        "target": site, "serverNames": [SERVER_NAME], "privateKey": keys.private, "shortIds": [""],
                    },
                },
            }),
            Self::VlessWebSocket => {
                let mut stream = stream("ws", &["http/1.1"]);
                stream["wsSettings"] = json!({ "path": PATH });
                json!({ "protocol": "vless", "settings": vless(""), "streamSettings": stream })
            }
            Self::VlessGrpc => {
                let mut stream = stream("grpc", &["h2"]);
                stream["grpcSettings"] = json!({ "serviceName": SERVICE });
                json!({ "protocol": "vless", "settings": vless(""), "streamSettings": stream })
            }
            Self::VlessXhttp => {
                let mut stream = stream("xhttp", &["h2", "http/1.1"]);
                stream["xhttpSettings"] = json!({ "path": PATH });
                json!({ "protocol": "vless", "settings": vless(""), "streamSettings": stream })
            }
            Self::AnyTls | Self::Hysteria2 => bail!("Xray has no such inbound"),
        })
    }

    /// Whether a peer serves the row.
    #[must_use]
    pub const fn is_of_xray(self) -> bool {
        !matches!(self, Self::AnyTls | Self::Hysteria2)
    }
}
