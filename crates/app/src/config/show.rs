//! The effective configuration as TOML, secrets hidden.

use hezar_gateway::Limits;
use hezar_probe::{CanaryBody, CanaryPage};
use toml::{Table, Value};

use super::{
    Config, ListenerConfig, Origin, ProbeConfig, SourceConfig, User,
    redact::{self, HIDDEN},
    value::show_duration,
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
    root.insert("api".into(), api(config));
    root.insert("pool".into(), pool(config));
    root.insert("probe".into(), probe(config));
    let fetch = &config.fetch;
    root.insert(
        "fetch".into(),
        table([
            ("timeout", text(show_duration(fetch.timeout))),
            ("github_api", text(redact::url(&fetch.github_api))),
            ("github_raw", text(redact::url(&fetch.github_raw))),
            ("telegram", text(redact::url(&fetch.telegram))),
        ]),
    );
    let mmdb = config.geo.mmdb.as_ref().and_then(|file| text(file.display()));
    root.insert("geo".into(), table([("mmdb", mmdb)]));
    root.insert("store".into(), table([("url", text(redact::store_url(config.store.url.expose())))]));
    let log = &config.log;
    root.insert(
        "log".into(),
        table([
            ("level", text(&log.level)),
            ("format", text(if log.json { "json" } else { "pretty" })),
            ("folder", log.folder.as_ref().and_then(|folder| text(folder.display()))),
            ("keep", Some(number(log.keep))),
            ("max_bytes", Some(number(log.max_bytes))),
        ]),
    );
    if !config.listeners.is_empty() {
        root.insert("listener".into(), Value::Array(config.listeners.iter().map(listener).collect()));
    }
    root.insert("source".into(), Value::Array(config.sources.iter().map(source).collect()));
    toml::to_string_pretty(&root).unwrap_or_default()
}

fn proxy(config: &Config) -> Value {
    let proxy = &config.proxy;
    table([
        ("listen", text(proxy.listen)),
        ("strategy", text(proxy.strategy)),
        ("attempts", Some(number(proxy.attempts))),
        ("hedge_percent", Some(number(proxy.hedge_percent))),
        ("repeat_unsafe", Some(Value::Boolean(proxy.repeat_unsafe))),
        ("name_exit", Some(Value::Boolean(proxy.name_exit))),
        ("deadline", text(show_duration(proxy.deadline))),
        ("node_wait", text(show_duration(proxy.node_wait))),
        ("idle_timeout", text(show_duration(proxy.idle_timeout))),
        ("udp_idle_timeout", text(show_duration(proxy.udp_idle_timeout))),
        ("handshake_timeout", text(show_duration(proxy.handshake_timeout))),
        ("max_connections", Some(number(proxy.max_connections))),
        ("max_pending_per_client", Some(number(proxy.max_pending_per_client))),
        ("max_associations", Some(number(proxy.max_associations))),
        ("max_sessions", Some(number(proxy.max_sessions))),
        ("max_sessions_per_user", Some(number(proxy.max_sessions_per_user))),
        ("drain", text(show_duration(proxy.drain))),
        ("users", Some(users(&proxy.users))),
        ("client_limits", limits(&proxy.client_limits)),
    ])
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

fn api(config: &Config) -> Value {
    let api = &config.api;
    table([
        ("enabled", Some(Value::Boolean(api.listen.is_some()))),
        ("listen", api.listen.and_then(text)),
        ("token", api.token.as_ref().and_then(|_| text(HIDDEN))),
        ("hosts", Some(texts(api.hosts.iter().map(String::as_str)))),
    ])
}

fn pool(config: &Config) -> Value {
    let pool = &config.pool;
    table([
        ("max_nodes", Some(number(pool.max_nodes))),
        ("max_nodes_per_source", Some(number(pool.max_nodes_per_source))),
        ("max_nodes_per_server", Some(number(pool.max_nodes_per_server))),
        ("allow_insecure", Some(Value::Boolean(pool.allow_insecure))),
    ])
}

fn probe(config: &Config) -> Value {
    let probe = &config.probe;
    table([
        ("url", text(redact::url(&probe.url))),
        ("expect_status", Some(number(probe.expect_status))),
        ("expect_body", probe.expect_body.as_ref().and_then(text)),
        ("timeout", text(show_duration(probe.timeout))),
        ("connect_timeout", text(show_duration(probe.connect_timeout))),
        ("interval", text(show_duration(probe.interval))),
        ("dead_after", Some(number(probe.dead_after))),
        ("forget_after", text(show_duration(probe.forget_after))),
        ("concurrency", probe.concurrency.map(number)),
        ("per_second", Some(number(probe.per_second))),
        ("per_host", Some(number(probe.per_host))),
        ("per_host_per_second", Some(number(probe.per_host_per_second))),
        ("trace_url", text(probe.trace_url.as_ref().map(redact::url).unwrap_or_default())),
        ("trace_interval", text(show_duration(probe.trace_interval))),
        ("canary_url", canary_url(probe)),
        (
            "canary_text",
            own_canary(probe).and_then(|page| match &page.body {
                CanaryBody::Text(known) => text(known),
                CanaryBody::Sha256(_) => None,
            }),
        ),
        (
            "canary_sha256",
            own_canary(probe).and_then(|page| match &page.body {
                CanaryBody::Text(_) => None,
                CanaryBody::Sha256(hash) => text(hash.map(|byte| format!("{byte:02x}")).concat()),
            }),
        ),
        ("quarantine", text(show_duration(probe.quarantine))),
        ("control", Some(Value::Array(probe.control.iter().filter_map(|url| text(redact::url(url))).collect()))),
    ])
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
        [page] => text(redact::url(&page.url)),
        _ => None,
    }
}

fn source(source: &SourceConfig) -> Value {
    let origin = match &source.origin {
        Origin::Url(url) => text(redact::source_url(url.expose())),
        Origin::File(file) => text(file.display()),
        Origin::Links(links) => Some(texts(links.iter().map(|_| HIDDEN))),
        Origin::GitHub { owner, repo, .. } => text(format_args!("{owner}/{repo}")),
        Origin::Telegram { channel, .. } => text(channel),
    };
    let (branch, paths, token) = match &source.origin {
        Origin::GitHub { branch, paths, token, .. } => (
            branch.as_ref().and_then(text),
            Some(texts(paths.iter().map(String::as_str))),
            token.as_ref().and_then(|_| text(HIDDEN)),
        ),
        _ => (None, None, None),
    };
    let pages = match &source.origin {
        Origin::Telegram { pages, .. } => Some(number(*pages)),
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
