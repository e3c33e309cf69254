//! What concerns the whole instance: version, configuration, rules, and what only a core of Clash can do.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, patch, post},
};
use serde_json::{Map, Value, json};

use super::{
    ClashState,
    names::POOL,
    reply::{self, ClashError},
    view_path::Shown,
};
use crate::{ChangedBy, body::WholeBody};

/// Dashboards take a core for mihomo unless its version says otherwise, and show what only such a core can do.
const VERSION: &str = concat!("hezar ", env!("CARGO_PKG_VERSION"));

/// How much may be logged, in the words of Clash.
const LOG_LEVELS: [&str; 5] = ["error", "warning", "info", "debug", "silent"];

pub(super) fn routes() -> Router<ClashState> {
    Router::new()
        .route("/version", get(async || reply::json(&json!({ "meta": true, "version": VERSION }))))
        .route("/configs", get(configs).put(reload).patch(change))
        .route("/configs/geo", post(not_a_core))
        .route("/rules", get(rules))
        .route("/rules/disable", patch(not_a_core))
        .route("/dns/query", get(async || dns_disabled()))
        .route("/cache/dns/flush", post(async || StatusCode::NO_CONTENT))
        .route("/cache/fakeip/flush", post(async || StatusCode::NO_CONTENT))
        .route("/restart", post(not_a_core))
        .route("/upgrade", post(not_a_core))
        .route("/upgrade/ui", post(not_a_core))
        .route("/upgrade/geo", post(not_a_core))
}

async fn not_a_core() -> ClashError {
    ClashError::not_implemented("Hezar is not a core of Clash: this is done with its own commands")
}

fn dns_disabled() -> ClashError {
    ClashError(StatusCode::INTERNAL_SERVER_ERROR, "DNS section is disabled".to_owned())
}

/// The true values, and the defaults of what Hezar does not have.
async fn configs(State(state): State<ClashState>) -> Response {
    let instance = state.api.control.dashboard_instance();
    let first = instance.listeners.first().map(|(_, address)| *address);
    let is_reachable = instance.listeners.iter().any(|(_, address)| !address.ip().is_loopback());
    reply::json(&json!({
        "port": 0,
        "socks-port": 0,
        "redir-port": 0,
        "tproxy-port": 0,
        "mixed-port": first.map_or(0, |address| address.port()),
        "tun": {
            "enable": false, "device": "", "stack": "gVisor", "dns-hijack": [], "auto-route": false,
            "auto-detect-interface": false,
        },
        "tuic-server": { "enable": false, "listen": "", "certificate": "", "private-key": "" },
        "ss-config": "",
        "vmess-config": "",
        "authentication": [],
        "skip-auth-prefixes": [],
        "lan-allowed-ips": ["0.0.0.0/0", "::/0"],
        "lan-disallowed-ips": [],
        "allow-lan": is_reachable,
        "bind-address": first.map_or_else(|| "127.0.0.1".to_owned(), |address| address.ip().to_string()),
        "inbound-tfo": false,
        "inbound-mptcp": false,
        "mode": "rule",
        "mode-list": ["rule"],
        "modes": ["rule"],
        "unified-delay": true,
        "log-level": instance.log_level,
        "ipv6": true,
        "interface-name": "",
        "routing-mark": 0,
        "geox-url": { "geo-ip": "", "mmdb": "", "asn": "", "geo-site": "" },
        "geo-auto-update": false,
        "geo-update-interval": 0,
        "geodata-mode": false,
        "geodata-loader": "",
        "geosite-matcher": "",
        "tcp-concurrent": true,
        "find-process-mode": "off",
        "sniffing": false,
        "global-ua": "",
        "etag-support": true,
        "keep-alive-idle": 0,
        "keep-alive-interval": 0,
        "disable-keep-alive": false,
    }))
}

/// Reads the configuration again. Another one cannot be given: the file is the operator's.
async fn reload(State(state): State<ClashState>, WholeBody(body): WholeBody) -> Result<StatusCode, ClashError> {
    let given = object(&body)?;
    let is_given = |key: &str| given.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if is_given("payload") || is_given("path") {
        return Err(ClashError::bad_request("Hezar reads its own file again: leave path and payload empty"));
    }
    state.api.control.reload().await?;
    state.views.clear().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the log level. Another mode is refused; every other key is ignored, as mihomo ignores keys that it does not know.
async fn change(
    State(state): State<ClashState>,
    by: ChangedBy,
    WholeBody(body): WholeBody,
) -> Result<StatusCode, ClashError> {
    let given = object(&body)?;
    if given.get("mode").and_then(Value::as_str).is_some_and(|mode| !mode.eq_ignore_ascii_case("rule")) {
        return Err(ClashError::bad_request("Hezar has one mode, rule: every request leaves through the pool"));
    }
    let Some(level) = given.get("log-level") else { return Ok(StatusCode::NO_CONTENT) };
    let asked = level.as_str().unwrap_or_default();
    let level = LOG_LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(asked));
    let level = level.ok_or_else(ClashError::body_invalid)?;
    if level != state.api.control.dashboard_instance().log_level {
        state.api.control.set_log_level(&by, level).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ClashError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| ClashError::body_invalid())
}

/// Who is led where: those who ask for a country to its group, everybody else to the pool.
async fn rules(Shown(view): Shown) -> Response {
    let countries = view.groups.iter().filter_map(|group| match group.group {
        Some(hezar_core::Group::Country(country)) => {
            let option = format!("*-country-{}", String::from_utf8_lossy(&country).to_lowercase());
            Some(("InUser", option, group.name.as_str()))
        }
        _ => None,
    });
    let listeners = view.instance.listeners.iter().map(|(name, _)| ("InName", name.clone(), POOL));
    let all = countries.chain(listeners).chain([("Match", String::new(), POOL)]);
    let rules: Vec<Value> = all
        .enumerate()
        .map(|(index, (kind, payload, proxy))| {
            json!({ "index": index, "type": kind, "payload": payload, "proxy": proxy, "size": -1 })
        })
        .collect();
    reply::json(&json!({ "rules": rules }))
}
