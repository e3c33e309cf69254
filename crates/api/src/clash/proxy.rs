//! The JSON of nodes, groups and providers.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use hezar_core::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    names::AUTO,
    view::{GroupView, NodeView, PoolView, ProviderView},
};
use crate::{DashboardTest, SourceDto, SubscriptionDto};

/// A node as JSON.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NodeJson<'a> {
    name: &'a str,
    r#type: &'static str,
    alive: bool,
    udp: bool,
    history: Vec<Sample>,
    extra: Value,
    id: String,
    provider_name: &'a str,
}

/// One test of a node.
#[derive(Serialize)]
struct Sample {
    time: String,
    /// In milliseconds; 0 = it failed.
    delay: u16,
}

/// A group as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupJson<'a> {
    pub(super) name: &'a str,
    r#type: &'static str,
    alive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<&'a str>,
    all: &'a [String],
    history: Vec<Sample>,
    extra: Value,
    udp: bool,
    xudp: bool,
    uot: bool,
    tfo: bool,
    mptcp: bool,
    smux: bool,
    interface: &'static str,
    #[serde(rename = "routing-mark")]
    routing_mark: u32,
    #[serde(rename = "provider-name")]
    provider_name: &'static str,
    #[serde(rename = "dialer-proxy")]
    dialer_proxy: &'static str,
    hidden: bool,
    icon: &'static str,
    test_url: &'a str,
    empty_fallback: &'static str,
}

/// A source as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProviderJson<'a> {
    pub(super) name: &'a str,
    r#type: &'static str,
    vehicle_type: &'static str,
    proxies: Vec<NodeJson<'a>>,
    test_url: &'a str,
    expected_status: &'static str,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_info: Option<Value>,
}

/// A node in the words of a dashboard.
pub(super) fn node<'a>(view: &'a PoolView, node: &'a NodeView) -> NodeJson<'a> {
    let about = &node.node;
    NodeJson {
        name: &node.name,
        r#type: kind(about.scheme),
        alive: about.alive,
        udp: about.datagrams,
        history: about.tests.iter().map(sample).collect(),
        extra: json!({}),
        id: about.id.to_string(),
        provider_name: view.provider_of(node),
    }
}

fn sample(test: &DashboardTest) -> Sample {
    Sample { time: time(test.at, SecondsFormat::AutoSi), delay: test.latency.map_or(0, millis) }
}

/// A group in the words of a dashboard.
pub(super) fn group<'a>(view: &'a PoolView, group: &'a GroupView) -> GroupJson<'a> {
    let (kind, shown) = match &group.group {
        None if group.name == AUTO => ("LoadBalance", median(view)),
        _ => ("Selector", None),
    };
    GroupJson {
        name: &group.name,
        r#type: kind,
        alive: group.members.iter().any(|name| view.node(name).is_some_and(|node| node.node.alive)),
        now: group.now.as_deref(),
        all: &group.members,
        history: shown.into_iter().collect(),
        extra: json!({}),
        udp: true,
        xudp: false,
        uot: false,
        tfo: false,
        mptcp: false,
        smux: false,
        interface: "",
        routing_mark: 0,
        provider_name: "",
        dialer_proxy: "",
        hidden: false,
        icon: "",
        test_url: &view.instance.probe_url,
        empty_fallback: "",
    }
}

/// The median latency of the best nodes by their last tests, with the time of the newest one.
fn median(view: &PoolView) -> Option<Sample> {
    let auto = view.group(AUTO)?;
    let tests = auto.members.iter().filter_map(|name| view.node(name)?.node.tests.last());
    let mut worked: Vec<&DashboardTest> = tests.filter(|test| test.latency.is_some()).collect();
    worked.sort_unstable_by_key(|test| test.latency);
    let middle = worked.get(worked.len() / 2)?;
    let newest = worked.iter().map(|test| test.at).max()?;
    Some(sample(&DashboardTest { at: newest, latency: middle.latency }))
}

/// A provider in the words of a dashboard.
pub(super) fn provider<'a>(view: &'a PoolView, provider: &'a ProviderView) -> ProviderJson<'a> {
    let source = provider.source.as_ref();
    ProviderJson {
        name: &provider.name_with_hidden,
        r#type: "Proxy",
        vehicle_type: source.map_or("Inline", |source| vehicle(&source.kind)),
        proxies: provider.nodes.iter().filter_map(|index| view.nodes.get(*index)).map(|of| node(view, of)).collect(),
        test_url: &view.instance.probe_url,
        expected_status: "*",
        updated_at: rfc3339(Timestamp(source.and_then(|source| source.last_ok).unwrap_or_default())),
        subscription_info: source.and_then(subscription),
    }
}

/// The four numbers of a subscription; dashboards take all of them or none.
fn subscription(source: &SourceDto) -> Option<Value> {
    let SubscriptionDto { used, total, expires, .. } = source.subscription.as_ref()?;
    let (used, total, expires) = ((*used)?, (*total)?, (*expires)?);
    Some(json!({ "Upload": 0, "Download": used, "Total": total, "Expire": expires / 1000 }))
}

/// A latency in milliseconds. Dashboards read 0 as a failure, so what takes less than one millisecond takes one.
pub(super) fn millis(latency: Duration) -> u16 {
    u16::try_from(latency.as_millis()).unwrap_or(u16::MAX).max(1)
}

/// RFC 3339 with fractions of a second, which strict clients need.
pub(super) fn rfc3339(at: Timestamp) -> String {
    time(at, SecondsFormat::Nanos)
}

fn time(at: Timestamp, precision: SecondsFormat) -> String {
    let millis = i64::try_from(at.0).unwrap_or_default();
    DateTime::from_timestamp_millis(millis).unwrap_or_default().to_rfc3339_opts(precision, true)
}

/// mihomo's word for a link scheme.
fn kind(scheme: &str) -> &'static str {
    match scheme {
        "ss" => "Shadowsocks",
        "ssr" => "ShadowsocksR",
        "socks4" | "socks4a" | "socks5" | "socks" | "socks5h" | "tor" => "Socks5",
        "http" | "https" => "Http",
        "vmess" => "Vmess",
        "vless" => "Vless",
        "trojan" => "Trojan",
        "hysteria" | "hy" => "Hysteria",
        "hysteria2" | "hy2" => "Hysteria2",
        "tuic" => "Tuic",
        "wireguard" | "wg" | "amneziawg" => "WireGuard",
        "mieru" => "Mieru",
        "sudoku" => "Sudoku",
        "trusttunnel" => "TrustTunnel",
        "masque" => "Masque",
        "openvpn" => "OpenVPN",
        "gost-relay" => "GostRelay",
        "shadowquic" => "ShadowQuic",
        "anytls" => "AnyTLS",
        "snell" => "Snell",
        "ssh" => "Ssh",
        _ => "Unknown",
    }
}

/// mihomo's word for the place where a source is read.
fn vehicle(kind: &str) -> &'static str {
    match kind {
        "file" => "File",
        "url" | "github" | "telegram" => "HTTP",
        _ => "Inline",
    }
}
