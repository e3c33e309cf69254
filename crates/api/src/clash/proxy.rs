//! The JSON of nodes, groups and providers.

use std::{borrow::Cow, hash::BuildHasher};

use chrono::{DateTime, SecondsFormat};
use hezar_core::Timestamp;
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    names::AUTO,
    reply::json_line,
    view::{GroupView, NodeView, PoolView, ProviderView},
};
use crate::{SourceDto, SubscriptionDto};

/// A long answer that many readers get, and the tag by which they ask whether it has changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    pub(super) text: Bytes,
    pub(super) tag: String,
}

/// The answers that name every node or every group.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    pub(super) proxies: Body,
    pub(super) groups: Body,
    pub(super) providers: Body,
}

/// A node.
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

/// A group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupJson<'a> {
    name: &'a str,
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

/// A source.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProviderJson<'a> {
    name: &'a str,
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
pub(super) fn node(node: &NodeView) -> NodeJson<'_> {
    let about = &node.node;
    let delay = about.latency.filter(|_| about.alive).map_or(0, |latency| millis(latency.as_millis()));
    let sample = about.checked.map(|checked| Sample { time: rfc3339(checked), delay });
    NodeJson {
        name: &node.name,
        r#type: kind(about.scheme),
        alive: about.alive,
        udp: about.datagrams,
        history: sample.into_iter().collect(),
        extra: json!({}),
        id: about.id.to_string(),
        provider_name: &node.provider,
    }
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

/// The median of the best nodes, as of the newest test among them.
fn median(view: &PoolView) -> Option<Sample> {
    let auto = view.group(AUTO)?;
    let nodes: Vec<_> = auto.members.iter().filter_map(|name| view.node(name)).collect();
    let mut latencies: Vec<u128> =
        nodes.iter().filter_map(|node| node.node.latency).map(|latency| latency.as_millis()).collect();
    latencies.sort_unstable();
    let middle = latencies.get(latencies.len() / 2)?;
    let checked = nodes.iter().filter_map(|node| node.node.checked).max()?;
    Some(Sample { time: rfc3339(checked), delay: millis(*middle) })
}

/// A provider in the words of a dashboard.
pub(super) fn provider<'a>(view: &'a PoolView, provider: &'a ProviderView) -> ProviderJson<'a> {
    let source = provider.source.as_ref();
    ProviderJson {
        name: &provider.name,
        r#type: "Proxy",
        vehicle_type: source.map_or("Inline", |source| vehicle(&source.kind)),
        proxies: provider.nodes.iter().filter_map(|index| view.nodes.get(*index)).map(node).collect(),
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

/// The long answers.
pub(super) fn bodies(view: &PoolView) -> Bodies {
    let groups: Vec<GroupJson<'_>> = view.groups.iter().map(|of| group(view, of)).collect();
    // Maps keep the order of the groups here.
    let by_name = Named(groups.iter().map(|group| (Cow::Borrowed(group.name), group)).collect());
    let providers: Vec<ProviderJson<'_>> = view.providers.iter().map(|of| provider(view, of)).collect();
    let providers = Named(providers.iter().map(|provider| (Cow::Borrowed(provider.name), provider)).collect());
    Bodies {
        proxies: body(&json_line(&One { name: "proxies", value: &by_name })),
        groups: body(&json_line(&One { name: "proxies", value: &groups })),
        providers: body(&json_line(&One { name: "providers", value: &providers })),
    }
}

/// A map in the order of its entries.
struct Named<'a, T>(Vec<(Cow<'a, str>, &'a T)>);

impl<T: Serialize> Serialize for Named<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A map of one entry.
struct One<'a, T> {
    name: &'static str,
    value: &'a T,
}

impl<T: Serialize> Serialize for One<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.name, self.value)])
    }
}

fn body(text: &str) -> Body {
    let state = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
    let tag = format!("\"{:016x}-{:x}\"", state.hash_one(text), text.len());
    Body { text: Bytes::copy_from_slice(text.as_bytes()), tag }
}

/// Milliseconds as a test has them: 0 is a failure, so what is faster counts as one.
pub(super) fn millis(millis: u128) -> u16 {
    u16::try_from(millis).unwrap_or(u16::MAX).max(1)
}

/// RFC 3339 with fractions of a second, which strict clients need.
pub(super) fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or_default();
    let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// The kernel's word for a link scheme.
fn kind(scheme: &str) -> &'static str {
    match scheme {
        "ss" => "Shadowsocks",
        "ssr" => "ShadowsocksR",
        "socks4" | "socks4a" | "socks5" | "socks" | "socks5h" => "Socks5",
        "http" | "https" => "Http",
        "vmess" => "Vmess",
        "vless" => "Vless",
        "trojan" => "Trojan",
        "hysteria" | "hy" => "Hysteria",
        "hysteria2" | "hy2" => "Hysteria2",
        "tuic" => "Tuic",
        "wireguard" | "wg" => "WireGuard",
        "anytls" => "AnyTLS",
        "snell" => "Snell",
        "ssh" => "Ssh",
        _ => "Unknown",
    }
}

/// The kernel's word for where a source is read.
fn vehicle(kind: &str) -> &'static str {
    match kind {
        "file" => "File",
        "url" | "github" | "telegram" => "HTTP",
        _ => "Inline",
    }
}
