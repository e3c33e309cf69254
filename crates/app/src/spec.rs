//! From the configuration's words to the rooms' own settings.

use std::{sync::Arc, time::Duration};

use hezar_core::Secret;
use hezar_fetch::{FetchConfig, SourceKind, SourceSpec};
use hezar_formats::{Hints, ListScheme};
use hezar_gateway::{GatewayConfig, User};
use hezar_probe::{BodyRule, ProbeConfig};

use crate::config::{Config, Origin, SourceConfig, Via};

/// The longest pause between two probes of a dead node.
const DEAD_INTERVAL: Duration = Duration::from_secs(1800);
/// The longest pause after a first failure.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) fn gateway(config: &Config) -> GatewayConfig {
    let proxy = &config.proxy;
    let user = |user: &crate::config::User| User { name: user.name.as_str().into(), password: user.password.clone() };
    let defaults = GatewayConfig::default();
    GatewayConfig {
        listen: proxy.listen,
        users: proxy.users.iter().map(user).collect(),
        strategy: proxy.strategy,
        attempts: proxy.attempts,
        hedge_percent: proxy.hedge_percent,
        repeat_unsafe: proxy.repeat_unsafe,
        deadline: proxy.deadline,
        attempt_timeout: defaults.attempt_timeout.min(proxy.deadline),
        setup_timeout: proxy.handshake_timeout,
        idle_timeout: proxy.idle_timeout,
        udp_idle_timeout: proxy.udp_idle_timeout,
        grace: proxy.drain,
        max_connections: proxy.max_connections,
        max_associations: proxy.max_associations,
        ..defaults
    }
}

pub(crate) fn probe(config: &Config, concurrency: usize) -> ProbeConfig {
    let probe = &config.probe;
    ProbeConfig {
        expect_status: probe.expect_status,
        expect_body: probe.expect_body.as_deref().map(|text| BodyRule::Contains(text.into())),
        timeout: probe.timeout,
        connect_timeout: probe.connect_timeout,
        handshake_timeout: probe.timeout,
        interval: probe.interval,
        suspect_interval: SUSPECT_INTERVAL.min(probe.interval),
        dead_interval: DEAD_INTERVAL.max(probe.interval),
        concurrency,
        per_second: probe.per_second,
        per_host: probe.per_host,
        trace_url: probe.trace_url.clone(),
        trace_interval: probe.trace_interval,
        control: probe.control.clone(),
        ..ProbeConfig::new(probe.url.clone())
    }
}

pub(crate) fn fetch(config: &Config) -> FetchConfig {
    let fetch = &config.fetch;
    FetchConfig {
        request: fetch.timeout,
        total: fetch.timeout.saturating_mul(5),
        github_api: fetch.github_api.as_str().trim_end_matches('/').into(),
        github_raw: fetch.github_raw.as_str().trim_end_matches('/').into(),
        telegram: fetch.telegram.as_str().trim_end_matches('/').into(),
        ..FetchConfig::default()
    }
}

pub(crate) fn source(source: &SourceConfig) -> SourceSpec {
    SourceSpec {
        interval: source.interval,
        user_agent: source.user_agent.as_deref().map(Into::into),
        headers: source
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().into(), Secret::new(value.as_str())))
            .collect(),
        max_bytes: source.max_bytes,
        via: match source.via {
            Via::Direct => hezar_fetch::Via::Direct,
            Via::Pool => hezar_fetch::Via::Pool,
        },
        allow_private: source.allow_private,
        ..SourceSpec::new(Arc::from(source.name.as_str()), kind(&source.origin))
    }
}

fn kind(origin: &Origin) -> SourceKind {
    match origin {
        Origin::Url(url) => SourceKind::Url(Secret::new(url.as_str())),
        Origin::File(file) => SourceKind::File(file.display().to_string().into()),
        Origin::Links(links) => SourceKind::Inline(links.iter().map(|link| Secret::new(link.as_str())).collect()),
        Origin::GitHub { owner, repo, branch, paths, token } => SourceKind::GitHub {
            repository: format!("{owner}/{repo}").into(),
            reference: branch.as_deref().map(Into::into),
            patterns: paths.iter().map(|path| path.as_str().into()).collect(),
            token: token.clone(),
        },
        Origin::Telegram { channel, pages } => SourceKind::Telegram {
            channel: channel.as_str().into(),
            pages: u32::try_from(*pages).unwrap_or(SourceSpec::MOST_PAGES),
        },
    }
}

/// What bare addresses in a document are: what the source says, else what the document's name hints at.
pub(crate) fn hints(source: &SourceConfig, document: &str) -> Hints {
    let default_scheme = match source.scheme.as_deref() {
        Some("http") => ListScheme::Http,
        Some("socks4") => ListScheme::Socks4,
        Some("socks4a") => ListScheme::Socks4a,
        Some("socks5") => ListScheme::Socks5,
        _ => return Hints::from_file_name(document),
    };
    Hints { default_scheme }
}
