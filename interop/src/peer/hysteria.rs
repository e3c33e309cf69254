//! Hysteria's own server, as a program of interop/hysteria: Hysteria 2 alone.

use serde_json::{Value, json};

use super::Part;
use crate::{
    certificate::Certificate,
    row::{Protocol, Row},
    secrets::{MBPS, OBFS_PASSWORD, PASSWORD},
};

/// Hysteria 2, whatever disguises it.
pub(super) const fn plays(row: Row) -> bool {
    matches!(row.protocol, Protocol::Hysteria2 { .. })
}

/// The configuration of all servers.
pub(super) fn render(parts: &[Part], certificate: &Certificate) -> Value {
    parts.iter().filter_map(|part| listener(part, certificate)).collect()
}

fn listener(part: &Part, certificate: &Certificate) -> Option<Value> {
    let Protocol::Hysteria2 { disguise, bandwidth } = part.row.protocol else { return None };
    Some(json!({
        "listen": part.address,
        "cert": certificate.chain,
        "key": certificate.key,
        "password": PASSWORD,
        "obfs": disguise.map(|name| json!({ "type": name, "password": OBFS_PASSWORD })),
        "bandwidth": if bandwidth { u64::from(MBPS) * 1_000_000 / 8 } else { 0 },
    }))
}
