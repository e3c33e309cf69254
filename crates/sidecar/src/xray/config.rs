//! The configuration that Xray starts with: an inbound with a user for each slot, and no way out.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value, json};
use uuid::Uuid;

/// The first outbound, which Xray takes when no rule and no balancer says another one.
const NOWHERE: &str = "nowhere";
/// The tag of Xray's own API, which is an outbound, too.
const API: &str = "api";
/// How long a stream may be idle, in seconds. How long is too long is decided in front of the core.
const IDLE: u32 = 24 * 3600;
/// How long a stream whose one direction has ended may be silent in the other one, in seconds.
const HALF_CLOSED: u32 = 600;

/// The whole configuration. Who has the id of a slot reaches the outbound with the slot's name as its tag, and nothing else; as long as there is
/// none, Xray closes the connection.
pub(super) fn render(slots: &[(String, Uuid)], listen: SocketAddr, api_socket: &Path) -> Value {
    let users: Vec<Value> = slots.iter().map(|(name, id)| json!({ "id": id.to_string(), "email": name })).collect();
    let to_api = json!({ "inboundTag": ["api-in"], "outboundTag": API });
    let to_slots = slots.iter().map(|(name, _)| json!({ "user": [name], "outboundTag": name }));
    let rules: Vec<Value> = std::iter::once(to_api).chain(to_slots).collect();
    json!({
        "log": { "loglevel": "warning", "access": "none" },
        "api": { "tag": API, "services": ["HandlerService"] },
        "inbounds": [
            {
                "tag": "api-in",
                // Xray's API asks for no secret: the socket's folder lets nobody else in.
                "listen": format!("{},0600", api_socket.display()),
                "protocol": "dokodemo-door",
                "settings": { "address": "127.0.0.1", "port": 1, "network": "unix" },
            },
            {
                "tag": "slots",
                "listen": listen.ip(),
                "port": listen.port(),
                "protocol": "vless",
                "settings": { "decryption": "none", "clients": users },
            },
        ],
        "outbounds": [{ "tag": NOWHERE, "protocol": "blackhole" }],
        "routing": { "domainStrategy": "AsIs", "rules": rules },
        "policy": { "levels": { "0": { "connIdle": IDLE, "uplinkOnly": HALF_CLOSED, "downlinkOnly": HALF_CLOSED } } },
    })
}

/// A configuration that only versions accept that are told by `kcpSettings` what hides mKCP's packets.
pub(super) fn with_kcp_settings() -> Value {
    let settings = json!({ "header": { "type": "none" }, "seed": "any" });
    let stream = json!({ "network": "kcp", "kcpSettings": settings });
    json!({ "outbounds": [{ "protocol": "freedom", "streamSettings": stream }] })
}
