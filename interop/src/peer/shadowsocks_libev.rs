//! shadowsocks-libev as the server: the one peer that still has the old stream ciphers, and the host of SIP003 plugins.

use serde_json::{Value, json};

use super::{Part, on_path};
use crate::{
    certificate::Certificate,
    row::{PLUGGED_METHOD, Plugged, Protocol, Row},
    secrets::{PASSWORD, PATH, SERVER_NAME},
};

/// Shadowsocks of 2017 and before, behind the plugins that are installed.
pub(super) fn plays(row: Row) -> bool {
    match row.protocol {
        Protocol::Shadowsocks { method, users } => !users && !method.starts_with("2022-") && method != "none",
        // There is no package of it.
        Protocol::Plugged(Plugged::ShadowTls { .. } | Plugged::Kcptun) => false,
        Protocol::Plugged(plugin) => on_path(program(plugin)).is_some(),
        _ => false,
    }
}

/// The configuration of one server.
pub(super) fn render(parts: &[Part], certificate: &Certificate) -> Value {
    let Some(Part { row, address, .. }) = parts.first() else {
        return Value::Null;
    };
    let method = match row.protocol {
        Protocol::Shadowsocks { method, .. } => method,
        _ => PLUGGED_METHOD,
    };
    let mut config = json!({
        "server": address.ip(),
        "server_port": address.port(),
        "method": method,
        "password": PASSWORD,
        "timeout": 60,
        "mode": "tcp_and_udp",
    });
    if let Protocol::Plugged(plugin) = row.protocol {
        config["plugin"] = json!(program(plugin));
        config["plugin_opts"] = json!(options(plugin, row.tls.is_some(), certificate));
    }
    config
}

const fn program(plugin: Plugged) -> &'static str {
    match plugin {
        Plugged::ObfsHttp | Plugged::ObfsTls => "obfs-server",
        Plugged::V2ray { .. } => "ss-v2ray-plugin",
        Plugged::ShadowTls { .. } => "shadow-tls",
        Plugged::Kcptun => "kcptun",
    }
}

fn options(plugin: Plugged, tls: bool, certificate: &Certificate) -> String {
    match plugin {
        Plugged::ObfsHttp => "obfs=http".to_owned(),
        Plugged::ObfsTls => "obfs=tls".to_owned(),
        Plugged::V2ray { mux } => {
            let (chain, key) = (certificate.chain.display(), certificate.key.display());
            let tls = if tls { format!(";tls;cert={chain};key={key}") } else { String::new() };
            format!("server;host={SERVER_NAME};path={PATH}{tls};mux={}", u8::from(mux))
        }
        Plugged::ShadowTls { .. } | Plugged::Kcptun => String::new(),
    }
}
