//! The effective configuration as TOML, secrets hidden.

use hezar_core::settings::{Given, SettingValue, Settings, show_duration};
use hezar_gateway::{Limits, User};
use hezar_probe::{CanaryBody, CanaryPage, ProbeConfig};
use toml::{Table, Value};

use super::{
    Config, ListenerConfig, SourceConfig, SourceOrigin,
    redact::{self, HIDDEN},
};

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(values.into_iter().map(|text| Value::String(text.to_owned())).collect())
}

fn number(value: impl TryInto<i64>) -> Value {
    Value::Integer(value.try_into().unwrap_or(i64::MAX))
}

fn table<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    Value::Table(entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

fn text(value: impl ToString) -> Option<Value> {
    Some(Value::String(value.to_string()))
}

pub(crate) fn config(config: &Config) -> String {
    let mut root = Table::new();
    root.insert("data".into(), Value::String(config.data.display().to_string()));
    root.insert("proxy".into(), proxy(config));
    root.insert("api".into(), plain(&config.api, "api"));
    root.insert("pool".into(), plain(&config.pool, "pool"));
    root.insert("probe".into(), probe(config));
    root.insert("fetch".into(), plain(&config.fetch, "fetch"));
    root.insert("tls".into(), plain(&config.tls, "tls"));
    root.insert("geo".into(), plain(&config.geo, "geo"));
    root.insert("store".into(), plain(&config.store, "store"));
    root.insert("log".into(), plain(&config.log, "log"));
    if !config.listeners.is_empty() {
        root.insert("listener".into(), Value::Array(config.listeners.iter().map(listener).collect()));
    }
    root.insert("source".into(), Value::Array(config.sources.iter().map(source).collect()));
    toml::to_string_pretty(&root).unwrap_or_default()
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
        Given::Other(name) => Value::String(name.to_owned()),
    }
}

fn proxy(config: &Config) -> Value {
    let proxy = &config.proxy;
    let mut shown: Table = settings(proxy, "proxy").collect();
    shown.insert("users".into(), users(&proxy.users));
    shown.extend(limits(&proxy.client_limits).map(|limits| ("client_limits".to_owned(), limits)));
    Value::Table(shown)
}

fn users(users: &[User]) -> Value {
    let user = |user: &User| {
        let limits = user.limits;
        table([
            ("name", text(&user.name)),
            ("password", text(HIDDEN)),
            ("connections", limits.connections.map(number)),
            ("requests_per_second", limits.requests.map(number)),
            ("bytes_per_second", limits.bytes.map(number)),
        ])
    };
    Value::Array(users.iter().map(user).collect())
}

fn limits(limits: &Limits) -> Option<Value> {
    (!limits.none()).then(|| {
        table([
            ("connections", limits.connections.map(number)),
            ("requests_per_second", limits.requests.map(number)),
            ("bytes_per_second", limits.bytes.map(number)),
        ])
    })
}

fn listener(listener: &ListenerConfig) -> Value {
    let list = |texts_of: &[String]| (!texts_of.is_empty()).then(|| texts(texts_of.iter().map(String::as_str)));
    let countries: Vec<String> =
        listener.countries.iter().map(|code| String::from_utf8_lossy(code).into_owned()).collect();
    table([
        ("name", text(&listener.name)),
        ("listen", text(listener.listen)),
        ("strategy", text(listener.strategy)),
        ("countries", list(&countries)),
        ("sources", list(&listener.sources)),
        ("schemes", list(&listener.schemes)),
        ("tags", listener.tags_text.as_ref().and_then(text)),
        ("max_latency", listener.max_latency.and_then(|most| text(show_duration(most)))),
        ("top", listener.top.map(number)),
        ("allow_insecure", Some(Value::Boolean(listener.allow_insecure))),
        ("users", Some(users(&listener.users))),
        ("client_limits", limits(&listener.client_limits)),
    ])
}

fn probe(config: &Config) -> Value {
    let probe = &config.probe;
    let shown = settings(probe, "probe").chain(settings(&config.health, "probe"));
    let own = own_canary(probe).map(|page| match &page.body {
        CanaryBody::Text(known) => ("canary_text".to_owned(), Value::String(known.to_string())),
        CanaryBody::Sha256(hash) => {
            let digits = hash.map(|byte| format!("{byte:02x}")).concat();
            ("canary_sha256".to_owned(), Value::String(digits))
        }
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
        [] => text(""),
        [page] => page.url.write().map(to_toml),
        _ => None,
    }
}

fn source(source: &SourceConfig) -> Value {
    let origin = match &source.origin {
        SourceOrigin::Url(url) => text(redact::source_url(url.expose())),
        SourceOrigin::File(file) => text(file.display()),
        SourceOrigin::Links(links) => Some(texts(links.iter().map(|_| HIDDEN))),
        SourceOrigin::GitHub { owner, repo, .. } => text(format_args!("{owner}/{repo}")),
        SourceOrigin::Telegram { channel, .. } => text(channel),
    };
    let (branch, paths, token) = match &source.origin {
        SourceOrigin::GitHub { branch, paths, token, .. } => (
            branch.as_ref().and_then(text),
            Some(texts(paths.iter().map(String::as_str))),
            token.as_ref().and_then(|_| text(HIDDEN)),
        ),
        _ => (None, None, None),
    };
    let pages = match &source.origin {
        SourceOrigin::Telegram { pages, .. } => Some(number(*pages)),
        _ => None,
    };
    let headers = source.headers.iter().map(|(name, _)| (name.clone(), Value::String(HIDDEN.to_owned()))).collect();
    table([
        ("name", text(&source.name)),
        ("enabled", Some(Value::Boolean(source.enabled))),
        (source.origin.kind(), origin),
        ("branch", branch),
        ("paths", paths),
        ("token", token),
        ("pages", pages),
        ("interval", text(show_duration(source.interval))),
        ("allow_private", Some(Value::Boolean(source.allow_private))),
        ("via", text(source.via.name())),
        ("user_agent", source.user_agent.as_ref().and_then(text)),
        ("headers", (!source.headers.is_empty()).then_some(Value::Table(headers))),
        ("max_bytes", Some(number(source.max_bytes))),
        ("scheme", source.scheme.as_ref().and_then(text)),
        ("tags", (!source.tags.is_empty()).then(|| texts(source.tags.iter().map(String::as_str)))),
    ])
}
