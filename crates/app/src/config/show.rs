//! The effective configuration as TOML, secrets hidden.

use hezar_accept::PortTls;
use hezar_api::ApiSettings;
use hezar_core::settings::{Given, SettingValue, Settings};
use hezar_gateway::{FeedbackRule, InboundConfig, InboundProtocol, User};
use hezar_probe::{CanaryBody, CanaryPage, ProbeConfig};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{AlertConfig, Config, ListenerConfig, ObjectKey, ObjectKind, SourceConfig, objects::to_json};

/// The whole configuration as text.
pub(crate) fn config(config: &Config) -> String {
    toml::to_string_pretty(&root(config)).unwrap_or_default()
}

/// An object, or the value of a setting, as it may be shown; `None` when there is none in force.
pub(crate) fn shown(config: &Config, key: &ObjectKey) -> Option<Json> {
    let name = key.name.as_str();
    let table = match key.kind {
        ObjectKind::Source => source(config.sources.iter().find(|source| source.name == name)?),
        ObjectKind::Listener => listener(config.listeners.iter().find(|listener| &*listener.name == name)?),
        ObjectKind::User => user(config.proxy.users.iter().find(|user| &*user.name == name)?),
        ObjectKind::Subscription => object(config.subscriptions.iter().find(|given| &*given.name == name)?),
        ObjectKind::Setting => {
            let (section, key) = name.split_once('.')?;
            return root(config).get(section)?.get(key).map(to_json);
        }
    };
    Some(to_json(&Value::Table(table)))
}

/// The whole configuration as a tree.
pub(super) fn root(config: &Config) -> Table {
    let mut root = Table::new();
    root.insert("data".into(), Value::String(config.data.display().to_string()));
    root.insert("proxy".into(), proxy(config));
    root.insert("api".into(), api(&config.api));
    root.insert("clash".into(), plain(&config.clash, "clash"));
    root.insert("engine".into(), plain(&config.engine, "engine"));
    root.insert("pool".into(), plain(&config.pool, "pool"));
    root.insert("probe".into(), probe(config));
    root.insert("fetch".into(), plain(&config.fetch, "fetch"));
    root.insert("tls".into(), plain(&config.tls, "tls"));
    root.insert("geo".into(), plain(&config.geo, "geo"));
    root.insert("store".into(), plain(&config.store, "store"));
    root.insert("cluster".into(), plain(&config.cluster, "cluster"));
    root.insert("log".into(), plain(&config.log, "log"));
    root.insert("access_log".into(), plain(&config.access_log, "access_log"));
    root.insert("otlp".into(), plain(&config.otlp, "otlp"));
    root.insert("tor".into(), plain(&config.tor, "tor"));
    root.insert("sidecar".into(), plain(&config.sidecar, "sidecar"));
    if !config.listeners.is_empty() {
        root.insert("listener".into(), tables(&config.listeners, listener));
    }
    root.insert("source".into(), tables(&config.sources, source));
    if !config.subscriptions.is_empty() {
        root.insert("subscription".into(), tables(&config.subscriptions, object));
    }
    if !config.alerts.is_empty() {
        root.insert("alert".into(), tables(&config.alerts, alert));
    }
    root
}

/// While there is no API, nothing but that is in force.
fn api(api: &ApiSettings) -> Value {
    let mut shown: Table = settings(api, "api").filter(|(key, _)| api.enabled || key == "enabled").collect();
    if api.enabled {
        insert_table(&mut shown, "tls", port_tls(&api.tls));
    }
    Value::Table(shown)
}

/// A section that has nothing but settings.
fn plain<S: Settings>(of: &S, section: &str) -> Value {
    Value::Table(settings(of, section).collect())
}

/// The settings of a struct that stand in a section.
fn settings<S: Settings>(settings: &S, section: &str) -> impl Iterator<Item = (String, Value)> {
    let written = S::ALL.iter().filter(move |setting| setting.section() == section);
    written.filter_map(|setting| Some((setting.key().to_owned(), to_toml((setting.write)(settings)?))))
}

/// A value as it stands in a file.
pub(super) fn to_toml(given: Given) -> Value {
    match given {
        Given::Boolean(on) => Value::Boolean(on),
        Given::Integer(number) => Value::Integer(number),
        Given::Text(text) | Given::Variable(text) => Value::String(text),
        Given::List(values) => Value::Array(values.into_iter().map(to_toml).collect()),
        Given::Table(pairs) => Value::Table(pairs.into_iter().map(|(key, value)| (key, to_toml(value))).collect()),
        Given::Other(name) => Value::String(name.to_owned()),
    }
}

fn tables<T>(objects: &[T], show: impl Fn(&T) -> Table) -> Value {
    Value::Array(objects.iter().map(|object| Value::Table(show(object))).collect())
}

fn proxy(config: &Config) -> Value {
    let proxy = &config.proxy;
    let mut shown: Table = settings(proxy, "proxy").chain(settings(&proxy.rules, "proxy")).collect();
    shown.insert("users".into(), tables(&proxy.users, user));
    insert_table(&mut shown, "client_limits", object(&proxy.client_limits));
    insert_table(&mut shown, "tls", port_tls(&proxy.tls));
    insert_feedback(&mut shown, &proxy.feedback);
    Value::Table(shown)
}

/// The settings of an object that say something: no empty lists.
fn object<S: Settings>(object: &S) -> Table {
    let written =
        S::ALL.iter().filter_map(|setting| Some((setting.key().to_owned(), to_toml((setting.write)(object)?))));
    let is_empty = |value: &Value| match value {
        Value::Array(values) => values.is_empty(),
        Value::Table(table) => table.is_empty(),
        _ => false,
    };
    written.filter(|(_, value)| !is_empty(value)).collect()
}

/// The TLS of a port; nothing for a plain one.
fn port_tls(tls: &PortTls) -> Table {
    if !tls.is_set() {
        return Table::new();
    }
    let mut shown = object(tls);
    // The empty text stands for an absent file, which says nothing here.
    shown.retain(|_, value| value.as_str() != Some(""));
    shown
}

fn insert_table(shown: &mut Table, key: &str, table: Table) {
    if !table.is_empty() {
        shown.insert(key.to_owned(), Value::Table(table));
    }
}

fn insert_feedback(shown: &mut Table, rules: &[FeedbackRule]) {
    if !rules.is_empty() {
        shown.insert("feedback".to_owned(), tables(rules, object));
    }
}

/// A user, with its passwords hidden.
pub(super) fn user(user: &User) -> Table {
    let mut shown = object(user);
    shown.extend(object(&user.limits));
    shown.extend(object(&user.rules));
    insert_table(&mut shown, "quota", object(&user.quota));
    if !user.links.is_empty() {
        shown.insert("links".into(), tables(&user.links, object));
    }
    shown
}

/// A listener with its own users.
pub(super) fn listener(listener: &ListenerConfig) -> Table {
    let mut shown = object(listener);
    shown.extend(object(&listener.rules));
    if !listener.users.is_empty() {
        shown.insert("users".into(), tables(&listener.users, user));
    }
    insert_table(&mut shown, "client_limits", object(&listener.client_limits));
    insert_table(&mut shown, "tls", port_tls(&listener.tls));
    if let Some(inbound) = &listener.inbound {
        insert_inbound(&mut shown, inbound);
    }
    insert_feedback(&mut shown, &listener.feedback);
    shown
}

/// The tables of an encrypted inbound, with its keys hidden.
fn insert_inbound(shown: &mut Table, inbound: &InboundConfig) {
    match &inbound.protocol {
        InboundProtocol::Shadowsocks(shadowsocks) => insert_table(shown, "shadowsocks", object(shadowsocks)),
        InboundProtocol::Hysteria2(hysteria2) => insert_table(shown, "hysteria2", object(hysteria2)),
        InboundProtocol::Vless => insert_table(shown, "transport", object(&inbound.transport)),
        InboundProtocol::Trojan | InboundProtocol::AnyTls => {}
    }
    insert_table(shown, "reality", inbound.reality.as_ref().map(object).unwrap_or_default());
    let mut fallback = object(&inbound.fallback);
    fallback.retain(|_, value| value.as_str() != Some(""));
    insert_table(shown, "fallback", fallback);
}

/// An alert, with its secrets hidden.
fn alert(alert: &AlertConfig) -> Table {
    let mut shown = object(alert);
    if let Some(telegram) = &alert.telegram {
        insert_table(&mut shown, "telegram", object(telegram));
    }
    shown
}

/// A source, with its secrets hidden.
pub(super) fn source(source: &SourceConfig) -> Table {
    object(source)
}

fn probe(config: &Config) -> Value {
    let probe = &config.probe;
    let shown = settings(probe, "probe").chain(settings(&config.health, "probe"));
    let own = own_canary(probe).map(|page| match &page.body {
        CanaryBody::Text(known) => ("canary_text".to_owned(), Value::String(known.to_string())),
        CanaryBody::Sha256(hash) => ("canary_sha256".to_owned(), Value::String(hex::encode(hash))),
    });
    let url = canary_url(probe).map(|url| ("canary_url".to_owned(), url));
    Value::Table(shown.chain(url).chain(own).collect())
}

/// The one page that the configuration names itself.
fn own_canary(probe: &ProbeConfig) -> Option<&CanaryPage> {
    match probe.canaries.as_slice() {
        [page] => Some(page),
        _ => None,
    }
}

/// Absent = the usual pages; empty = none.
fn canary_url(probe: &ProbeConfig) -> Option<Value> {
    match probe.canaries.as_slice() {
        [] => Some(Value::String(String::new())),
        [page] => page.url.write().map(to_toml),
        _ => None,
    }
}
