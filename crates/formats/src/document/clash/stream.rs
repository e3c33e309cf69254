//! Writes VLESS, VMess and Trojan with their transports in Clash's words.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hezar_core::{
    Carrier, EarlyData, GrpcMode, PacketEncoding, Reality, Secret, Security, StreamNode, StreamProtocol, Trojan,
    Vision, XhttpMode,
};

use super::{
    super::{
        accepted::{headers_ok, is_foreign},
        write::Unwritable,
        xhttp,
    },
    write::{Quic, tls},
};
use crate::{
    carrier::EARLY_DATA_HEADER,
    field,
    tree::{MapBuilder, headers},
};

/// Fills in everything but the server.
pub(super) fn write(map: &mut MapBuilder, node: &StreamNode) -> Result<(), Unwritable> {
    let carrier = node.carrier();
    if is_foreign(carrier.transport()) {
        return Err(Unwritable::TRANSPORT);
    }
    let server_name = match node.protocol() {
        StreamProtocol::Vless(vless) => {
            map.text("uuid", &vless.id.to_string());
            map.text(
                "flow",
                match vless.flow {
                    None => "",
                    Some(Vision::Plain) => "xtls-rprx-vision",
                    Some(Vision::Udp443) => "xtls-rprx-vision-udp443",
                },
            );
            if let Some(encryption) = &vless.encryption {
                map.text("encryption", known_encryption(encryption).ok_or(Unwritable::ENCRYPTION)?);
            }
            packet_encoding(map, vless.packet_encoding);
            "servername"
        }
        StreamProtocol::Vmess(vmess) => {
            if matches!(carrier, Carrier::Xhttp { .. }) {
                return Err(Unwritable::TRANSPORT);
            }
            map.text("uuid", &vmess.id.to_string()).number("alterId", Some(vmess.alter_id));
            map.text("cipher", vmess.cipher.name());
            packet_encoding(map, vmess.packet_encoding);
            "servername"
        }
        StreamProtocol::Trojan(trojan) => {
            trojan_body(map, trojan, carrier)?;
            "sni"
        }
    };
    security(map, carrier, server_name)?;
    transport(map, carrier)
}

fn packet_encoding(map: &mut MapBuilder, encoding: PacketEncoding) {
    map.text("packet-encoding", field::packet_encoding_name(encoding));
}

/// `mlkem768x25519plus.<mode>.<rtt>.….<key>`, whose keys have 32 or 1184 bytes; mihomo checks them when it starts.
fn known_encryption(encryption: &Secret) -> Option<&str> {
    let text = encryption.expose();
    let mut parts = text.split('.');
    let known = parts.next() == Some("mlkem768x25519plus")
        && matches!(parts.next(), Some("native" | "xorpub" | "random"))
        && matches!(parts.next(), Some("0rtt" | "1rtt"));
    let mut keys = 0;
    for part in parts.filter(|part| part.len() >= 20) {
        keys += 1;
        if !matches!(URL_SAFE_NO_PAD.decode(part).map(|key| key.len()), Ok(32 | 1184)) {
            return None;
        }
    }
    (known && keys > 0).then_some(text)
}

fn trojan_body(map: &mut MapBuilder, trojan: &Trojan, carrier: &Carrier) -> Result<(), Unwritable> {
    // Trojan is always over TLS here, and its transports are these.
    let known = match carrier {
        Carrier::Tcp { header: None, security } | Carrier::Grpc { security, .. } => !matches!(security, Security::None),
        Carrier::WebSocket { tls, .. } | Carrier::HttpUpgrade { tls, .. } => tls.is_some(),
        _ => false,
    };
    map.text("password", trojan.password.expose());
    if let Some(inner) = &trojan.inner_shadowsocks {
        let (method, password) = inner.expose().split_once(':').ok_or(Unwritable::METHOD)?;
        if !matches!(method, "aes-128-gcm" | "aes-256-gcm" | "chacha20-ietf-poly1305") {
            return Err(Unwritable::METHOD);
        }
        let mut opts = MapBuilder::default();
        opts.flag("enabled", true).text("method", method).required("password", password);
        map.map("ss-opts", opts);
    }
    if known { Ok(()) } else { Err(Unwritable::TRANSPORT) }
}

fn security(map: &mut MapBuilder, carrier: &Carrier, server_name: &str) -> Result<(), Unwritable> {
    if let Some(reality) = carrier.reality() {
        return reality_opts(map, reality, server_name);
    }
    if let Some(layer) = carrier.tls() {
        map.flag("tls", true);
        tls(map, layer, server_name, Quic::No)?;
    }
    Ok(())
}

fn reality_opts(map: &mut MapBuilder, reality: &Reality, server_name: &str) -> Result<(), Unwritable> {
    // Its hello is always a browser's.
    if reality.mldsa65_verify.is_some() || reality.own_hello {
        return Err(Unwritable::SECURITY);
    }
    map.flag("tls", true).text(server_name, reality.server_name.as_deref().unwrap_or_default());
    map.texts("alpn", &reality.alpn).text("client-fingerprint", reality.fingerprint.map_or("", |f| f.name()));
    let mut opts = MapBuilder::default();
    opts.text("public-key", &URL_SAFE_NO_PAD.encode(reality.public_key));
    opts.text("short-id", &reality.short_id.to_hex());
    map.map("reality-opts", opts);
    Ok(())
}

fn transport(map: &mut MapBuilder, carrier: &Carrier) -> Result<(), Unwritable> {
    let mut opts = MapBuilder::default();
    match carrier {
        Carrier::Tcp { header: None, .. } => map.text("network", "tcp"),
        Carrier::Tcp { header: Some(header), .. } => {
            let mut headers = MapBuilder::default();
            headers.texts("Host", &header.hosts);
            opts.text("method", "GET").texts("path", &header.paths).map("headers", headers);
            map.text("network", "http").map("http-opts", opts)
        }
        Carrier::WebSocket { websocket: w, .. } => {
            if !headers_ok(&w.headers) {
                return Err(Unwritable::TRANSPORT);
            }
            opts.text("path", &w.path).map("headers", headers::join(w.host.as_deref(), &w.headers));
            if let Some(EarlyData { max_bytes, header }) = &w.early_data {
                opts.number("max-early-data", Some(max_bytes));
                opts.text("early-data-header-name", header.as_deref().unwrap_or_default());
            }
            map.text("network", "ws").map("ws-opts", opts)
        }
        Carrier::HttpUpgrade { upgrade: u, .. } => {
            if !headers_ok(&u.headers) {
                return Err(Unwritable::TRANSPORT);
            }
            let path = match &u.early_data {
                Some(EarlyData { max_bytes, header }) if header.as_deref() == Some(EARLY_DATA_HEADER) => {
                    format!("{}{}ed={max_bytes}", u.path, if u.path.contains('?') { '&' } else { '?' })
                }
                Some(_) => return Err(Unwritable::TRANSPORT),
                None => u.path.to_string(),
            };
            opts.text("path", &path).map("headers", headers::join(u.host.as_deref(), &u.headers));
            opts.flag("v2ray-http-upgrade", true).flag("v2ray-http-upgrade-fast-open", u.early_data.is_some());
            map.text("network", "ws").map("ws-opts", opts)
        }
        Carrier::Grpc { grpc, .. } => {
            if grpc.authority.is_some() || grpc.mode != GrpcMode::Gun {
                return Err(Unwritable::TRANSPORT);
            }
            opts.text("grpc-service-name", &grpc.service_name);
            map.text("network", "grpc").map("grpc-opts", opts)
        }
        Carrier::Http2 { http2, .. } => {
            opts.texts("host", &http2.hosts).text("path", &http2.path);
            map.text("network", "h2").map("h2-opts", opts)
        }
        Carrier::Xhttp { xhttp, .. } => {
            opts.text("path", &xhttp.path).text("host", xhttp.host.as_deref().unwrap_or_default());
            opts.text("mode", if xhttp.mode == XhttpMode::Auto { "" } else { xhttp.mode.name() });
            if let Some(extra) = &xhttp.extra
                && !xhttp::extra_to_clash(extra, &mut opts)
            {
                return Err(Unwritable::TRANSPORT);
            }
            map.text("network", "xhttp").map("xhttp-opts", opts)
        }
        Carrier::Kcp { .. } | Carrier::Quic { .. } => return Err(Unwritable::TRANSPORT),
    };
    Ok(())
}
