//! `/connections`: what is alive, once or again and again, and its end.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::{delete, get},
};
use futures_util::stream;
use hezar_core::Host;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use super::{
    ClashState,
    names::{AUTO, POOL},
    proxy::rfc3339,
    reply::{ClashError, json_line, json_text},
    streams::{self, StreamReader},
    view::{CachedView, PoolView},
    view_path::View,
};
use crate::{ApiError, ConnectionsFilter, DashboardConnection};

/// The most connections in a snapshot: half of them the newest ones, half those that have moved most. Totals count all.
const MOST: usize = 1000;
/// How old a snapshot may be.
const AGE: Duration = Duration::from_millis(200);
/// How often a snapshot is sent, in milliseconds.
const INTERVAL: std::ops::RangeInclusive<u64> = 200..=60_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    download_total: u64,
    upload_total: u64,
    connections: Vec<ConnectionJson>,
    memory: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionJson {
    id: String,
    metadata: Value,
    upload: u64,
    download: u64,
    start: String,
    chains: Vec<String>,
    provider_chains: Vec<String>,
    rule: &'static str,
    rule_payload: String,
}

pub(super) fn routes() -> Router<ClashState> {
    Router::new().route("/connections", get(connections).delete(end_all)).route("/connections/{id}", delete(end_one))
}

async fn connections(
    State(state): State<ClashState>,
    View(view): View,
    RawQuery(query): RawQuery,
    reader: StreamReader,
) -> Result<Response, ClashError> {
    if !reader.is_websocket() {
        return Ok(json_text(snapshot(&state, &view).await?.to_string()));
    }
    let query = query.unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "interval");
    let millis = match asked {
        Some((_, millis)) => millis.parse::<u64>().map_err(|_| ClashError::body_invalid())?,
        None => 1000,
    };
    let ticks = streams::ticks(Duration::from_millis(millis.clamp(*INTERVAL.start(), *INTERVAL.end())));
    let lines = stream::unfold((ticks, state.clone(), view), |(mut ticks, state, view)| async move {
        ticks.tick().await;
        let line = snapshot(&state, &view).await.ok()?;
        Some((line.to_string(), (ticks, state, view)))
    });
    streams::send(&state, reader, lines)
}

/// What is alive, as one line of JSON. Many readers share it.
async fn snapshot(state: &ClashState, view: &CachedView) -> Result<Arc<str>, ApiError> {
    let mut last = view.connections.lock().await;
    if let Some((made, text)) = &*last
        && made.elapsed() < AGE
    {
        return Ok(Arc::clone(text));
    }
    let view = view.pool(&state.api).await?;
    let text = state.api.off_thread(move |control| {
        let traffic = control.traffic();
        let alive = busiest_and_newest(control.dashboard_connections());
        json_line(&Snapshot {
            download_total: traffic.down,
            upload_total: traffic.up,
            connections: alive.iter().map(|connection| connection_json(&view, connection)).collect(),
            memory: control.resident_memory(),
        })
    });
    let text: Arc<str> = text.await?.into();
    *last = Some((Instant::now(), Arc::clone(&text)));
    Ok(text)
}

/// At most [`MOST`] of these, in the order of their numbers.
fn busiest_and_newest(mut alive: Vec<DashboardConnection>) -> Vec<DashboardConnection> {
    alive.sort_unstable_by_key(|connection| connection.id);
    if alive.len() <= MOST {
        return alive;
    }
    let newest = alive.split_off(alive.len() - MOST / 2);
    alive.sort_unstable_by_key(|connection| std::cmp::Reverse(connection.up.saturating_add(connection.down)));
    alive.truncate(MOST - newest.len());
    alive.extend(newest);
    alive.sort_unstable_by_key(|connection| connection.id);
    alive
}

fn connection_json(view: &PoolView, connection: &DashboardConnection) -> ConnectionJson {
    let first = view.instance.listeners.first().is_none_or(|(name, _)| **name == *connection.listener);
    let (rule, rule_payload) = match (&*connection.user, first) {
        ("", true) => ("Match", String::new()),
        ("", false) => ("InName", connection.listener.to_string()),
        (user, _) => ("InUser", user.to_owned()),
    };
    let node = connection.node.map(|id| match view.by_id(id) {
        Some(node) => (node.name.clone(), view.provider_of(node).to_owned()),
        None => (id.to_string(), String::new()),
    });
    let (name, provider) = node.unwrap_or_default();
    ConnectionJson {
        id: connection.id.to_string(),
        metadata: metadata(view, connection),
        upload: connection.up,
        download: connection.down,
        start: rfc3339(connection.since),
        chains: vec![name, AUTO.to_owned(), POOL.to_owned()],
        provider_chains: vec![provider, String::new(), String::new()],
        rule,
        rule_payload,
    }
}

/// What Clash cores call the protocol that a client speaks.
fn inbound_type(inbound: &str) -> &'static str {
    match inbound {
        "shadowsocks" => "ShadowSocks",
        "trojan" => "Trojan",
        "vless" => "Vless",
        "hysteria2" => "Hysteria2",
        "anytls" => "AnyTLS",
        _ => "Socks5",
    }
}

fn metadata(view: &PoolView, connection: &DashboardConnection) -> Value {
    let (network, kind) = match connection.inbound {
        "http" => ("tcp", "HTTP"),
        "connect" => ("tcp", "HTTPS"),
        "socks4" => ("tcp", "Socks4"),
        other => match other.strip_suffix("-udp") {
            Some(inbound) => ("udp", inbound_type(inbound)),
            None => ("tcp", inbound_type(other)),
        },
    };
    let (host, ip, port) = match &connection.target {
        Some(target) => match target.host() {
            Host::Name(name) => (name.as_str().to_owned(), String::new(), target.port()),
            Host::Ip(ip) => (String::new(), ip.to_string(), target.port()),
        },
        None => (String::new(), String::new(), 0),
    };
    let listener = view.instance.listeners.iter().find(|(name, _)| **name == *connection.listener);
    let inbound = listener.map(|(_, address)| *address);
    json!({
        "network": network,
        "type": kind,
        "sourceIP": connection.client.to_string(),
        "sourcePort": "0",
        "destinationIP": ip,
        "destinationPort": port.to_string(),
        "sourceGeoIP": null,
        "destinationGeoIP": null,
        "sourceIPASN": "",
        "destinationIPASN": "",
        "inboundIP": inbound.map(|address| address.ip().to_string()).unwrap_or_default(),
        "inboundPort": inbound.map(|address| address.port().to_string()).unwrap_or_default(),
        "inboundName": connection.listener.to_string(),
        "inboundUser": connection.user.to_string(),
        "host": host,
        "dnsMode": "normal",
        "uid": 0,
        "process": "",
        "processPath": "",
        "specialProxy": "",
        "specialRules": "",
        "rematchName": "",
        "remoteDestination": connection.exit.map(|exit| exit.to_string()).unwrap_or_default(),
        "dscp": 0,
        "sniffHost": "",
    })
}

async fn end_all(State(state): State<ClashState>) -> Result<StatusCode, ClashError> {
    state.api.control.end_connections(&ConnectionsFilter::default())?;
    Ok(StatusCode::NO_CONTENT)
}

/// Also of a connection that has ended meanwhile.
async fn end_one(State(state): State<ClashState>, Path(id): Path<String>) -> StatusCode {
    if let Ok(id) = id.parse() {
        state.api.control.end_connection(id);
    }
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;

    use super::*;

    #[test]
    fn of_many_connections_the_newest_and_the_busiest_are_shown() {
        let connection = |id: u64, down: u64| DashboardConnection {
            id,
            listener: "proxy".into(),
            inbound: "connect",
            client: [127, 0, 0, 1].into(),
            user: "".into(),
            target: None,
            since: Timestamp(1),
            node: None,
            exit: None,
            up: 0,
            down,
        };
        let all: Vec<_> = (0..5000).map(|id| connection(id, if id % 10 == 3 { 1000 + id } else { 1 })).collect();
        let shown = busiest_and_newest(all);
        let newest = shown.iter().filter(|connection| connection.id >= 4500).count();
        let busy = shown.iter().filter(|connection| connection.down >= 1000).count();
        assert_eq!((shown.len(), newest, busy), (1000, 500, 500));
        assert!(shown.is_sorted_by_key(|connection| connection.id));
        assert_eq!(busiest_and_newest((0..9).map(|id| connection(id, 0)).collect()).len(), 9);
    }
}
