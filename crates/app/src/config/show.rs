//! The effective configuration as TOML, secrets hidden.

use toml::{Table, Value};

use super::{Config, Origin, SourceConfig, Via, value::show_duration};

const HIDDEN: &str = "…";

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
    root.insert("probe".into(), probe(config));
    let fetch = &config.fetch;
    root.insert(
        "fetch".into(),
        table([
            ("timeout", text(show_duration(fetch.timeout))),
            ("github_api", text(&fetch.github_api)),
            ("github_raw", text(&fetch.github_raw)),
            ("telegram", text(&fetch.telegram)),
        ]),
    );
    root.insert("store".into(), table([("url", text(&config.store.url))]));
    let log = &config.log;
    root.insert(
        "log".into(),
        table([
            ("level", text(&log.level)),
            ("format", text(if log.json { "json" } else { "pretty" })),
            ("folder", log.folder.as_ref().and_then(|folder| text(folder.display()))),
            ("keep", Some(number(log.keep))),
        ]),
    );
    root.insert("source".into(), Value::Array(config.sources.iter().map(source).collect()));
    toml::to_string_pretty(&root).unwrap_or_default()
}

fn proxy(config: &Config) -> Value {
    let proxy = &config.proxy;
    let users =
        proxy.users.iter().map(|user| table([("name", text(&user.name)), ("password", text(HIDDEN))])).collect();
    table([
        ("listen", text(proxy.listen)),
        ("strategy", text(proxy.strategy)),
        ("attempts", Some(number(proxy.attempts))),
        ("hedge_percent", Some(number(proxy.hedge_percent))),
        ("repeat_unsafe", Some(Value::Boolean(proxy.repeat_unsafe))),
        ("deadline", text(show_duration(proxy.deadline))),
        ("idle_timeout", text(show_duration(proxy.idle_timeout))),
        ("udp_idle_timeout", text(show_duration(proxy.udp_idle_timeout))),
        ("handshake_timeout", text(show_duration(proxy.handshake_timeout))),
        ("max_connections", Some(number(proxy.max_connections))),
        ("max_associations", Some(number(proxy.max_associations))),
        ("drain", text(show_duration(proxy.drain))),
        ("users", Some(Value::Array(users))),
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

fn probe(config: &Config) -> Value {
    let probe = &config.probe;
    table([
        ("url", text(&probe.url)),
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
        ("trace_url", text(probe.trace_url.as_ref().map_or("", |url| url.as_str()))),
        ("trace_interval", text(show_duration(probe.trace_interval))),
        ("control", Some(texts(probe.control.iter().map(url::Url::as_str)))),
    ])
}

fn source(source: &SourceConfig) -> Value {
    let origin = match &source.origin {
        Origin::Url(url) => text(url),
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
        (source.origin.kind(), origin),
        ("branch", branch),
        ("paths", paths),
        ("token", token),
        ("pages", pages),
        ("interval", text(show_duration(source.interval))),
        ("allow_private", Some(Value::Boolean(source.allow_private))),
        ("via", text(if source.via == Via::Pool { "pool" } else { "direct" })),
        ("user_agent", source.user_agent.as_ref().and_then(text)),
        ("headers", (!source.headers.is_empty()).then_some(Value::Table(headers))),
        ("max_bytes", Some(number(source.max_bytes))),
        ("scheme", source.scheme.as_ref().and_then(text)),
    ])
}
