//! shadowsocks-libev as the server: the one peer that still has the old stream ciphers.

use serde_json::{Value, json};

use super::Part;
use crate::{
    row::{Protocol, Row},
    secrets::PASSWORD,
};

/// Shadowsocks of 2017 and before.
pub(super) fn plays(row: Row) -> bool {
    match row.protocol {
        Protocol::Shadowsocks { method, users } => !users && !method.starts_with("2022-") && method != "none",
        _ => false,
    }
}

/// The configuration of one server.
pub(super) fn render(parts: &[Part]) -> Value {
    let Some(Part { row: Row { protocol: Protocol::Shadowsocks { method, .. }, .. }, address, .. }) = parts.first()
    else {
        return Value::Null;
    };
    json!({
        "server": address.ip(),
        "server_port": address.port(),
        "method": method,
        "password": PASSWORD,
        "timeout": 60,
        "mode": "tcp_only",
    })
}
