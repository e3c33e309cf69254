//! From the configuration's words to the rooms' own settings.

use std::{sync::Arc, time::Duration};

use hezar_core::{
    Secret,
    settings::{Given, SettingValue},
};
use hezar_fetch::{FetchConfig, SourceKind, SourceSpec};
use hezar_formats::{Hints, ListScheme};
use hezar_gateway::{AccessRules, GatewayConfig};
use hezar_pool::{Bounds, Filter, FilterId, Rules, Term};
use hezar_probe::ProbeConfig;

use crate::config::{
    Config, Expression, ListenerConfig, SourceConfig, SourceOrigin, SubscriptionConfig, TagFilter, feed_url,
};

/// The longest pause after a first failure.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(10);

/// What never worked and is listed no more is kept for at least this time: the shortest interval at which it is looked for.
const UNPROVEN: Duration = Duration::from_secs(60);

/// The rules of the pool.
pub(crate) fn rules(config: &Config) -> Rules {
    let (health, pool) = (&config.health, &config.pool);
    Rules {
        dead_after: health.dead_after,
        forget_after: health.forget_after,
        forget_unused_after: config.probe.interval.max(UNPROVEN),
        bounds: Bounds {
            total: pool.max_nodes,
            per_source: pool.max_nodes_per_source,
            per_server: pool.max_nodes_per_server,
        },
        allow_insecure: pool.allow_insecure,
        // A session may have an exit in several countries, and others for sites that refuse it.
        sessions: config.proxy.max_sessions.saturating_mul(2),
        ..Rules::default()
    }
}

/// The first listener.
pub(crate) fn gateway(config: &Config) -> GatewayConfig {
    let proxy = &config.proxy;
    let attempt_timeout = proxy.attempt_timeout.min(proxy.deadline);
    GatewayConfig { attempt_timeout, log_privacy: config.log.privacy, ..proxy.clone() }
}

/// A further listener; all that it does not say is as `[proxy]` says.
pub(crate) fn listener(config: &Config, listener: &ListenerConfig, filter: Option<FilterId>) -> GatewayConfig {
    GatewayConfig {
        name: listener.name.clone(),
        listen: listener.listen,
        open_to: listener.open_to.clone().unwrap_or_else(|| config.proxy.open_to.clone()),
        users: config.users_of(listener).to_vec(),
        strategy: listener.strategy.unwrap_or(config.proxy.strategy),
        client_limits: listener.client_limits,
        rules: access_rules(config, listener),
        feedback: if listener.feedback.is_empty() { config.proxy.feedback.clone() } else { listener.feedback.clone() },
        exit_headers: listener.exit_headers.unwrap_or(config.proxy.exit_headers),
        ports: listener.ports,
        proxy_protocol: listener.proxy_protocol.clone(),
        tls: listener.tls.clone(),
        inbound: listener.inbound.clone(),
        filter,
        ..gateway(config)
    }
}

/// Where clients of a listener may go. Those of an encrypted one behind a program that passes them on come from other machines, also where
/// that program is on this one.
fn access_rules(config: &Config, listener: &ListenerConfig) -> AccessRules {
    let rules = listener.rules.or(&config.proxy.rules);
    let is_behind_another = listener.insecure_plain || !listener.proxy_protocol.is_empty();
    if listener.inbound.is_some() && is_behind_another { rules.or(&AccessRules::for_other_machines()) } else { rules }
}

/// The nodes of a listener.
pub(crate) fn filter(config: &Config, listener: &ListenerConfig) -> Filter {
    let mut terms = Vec::new();
    if !listener.countries.is_empty() {
        terms.push(Term::Country(listener.countries.clone()));
    }
    if !listener.sources.is_empty() {
        terms.push(Term::Source(listener.sources.iter().map(|name| name.as_str().into()).collect()));
    }
    if !listener.schemes.is_empty() {
        terms.push(Term::Scheme(listener.schemes.iter().map(|scheme| scheme.as_str().into()).collect()));
    }
    if !listener.allow_insecure {
        terms.push(Term::Not(Box::new(Term::Insecure)));
    }
    terms.extend(listener.tags.as_ref().map(|tags| term(config, &tags.expression)));
    Filter { term: Term::All(terms), max_latency: listener.max_latency, top: listener.top }
}

/// The nodes of a subscription.
pub(crate) fn subscription(config: &Config, given: &SubscriptionConfig) -> Filter {
    let listener = ListenerConfig {
        countries: given.countries.clone(),
        sources: given.sources.clone(),
        schemes: given.schemes.clone(),
        tags: given.tags.clone(),
        max_latency: given.max_latency,
        allow_insecure: given.allow_insecure,
        ..ListenerConfig::default()
    };
    filter(config, &listener)
}

/// A tag expression as a text; `None` when it is none.
pub(crate) fn tags(config: &Config, text: &str) -> Option<Term> {
    TagFilter::parse(&Given::Text(text.to_owned()), &()).map(|tags| term(config, &tags.expression))
}

/// An expression in the pool's words: a tag stands for the sources that have it.
fn term(config: &Config, expression: &Expression) -> Term {
    let all = |terms: &[Expression]| terms.iter().map(|inner| term(config, inner)).collect();
    match expression {
        Expression::Tag(tag) => {
            let tagged = config.sources.iter().filter(|source| source.tags.contains(tag));
            let sources = tagged.map(|source| source.name.as_str().into()).collect();
            Term::Any(vec![Term::Source(sources), Term::Tag(tag.as_str().into())])
        }
        Expression::Label(text) => Term::Label(text.as_str().into()),
        Expression::Country(country) => Term::Country(vec![*country]),
        Expression::Scheme(scheme) => Term::Scheme(vec![scheme.as_str().into()]),
        Expression::Source(source) => Term::Source(vec![source.as_str().into()]),
        Expression::Insecure => Term::Insecure,
        Expression::Anonymity(level) => Term::Anonymity(*level),
        Expression::Not(inner) => Term::Not(Box::new(term(config, inner))),
        Expression::All(terms) => Term::All(all(terms)),
        Expression::Any(terms) => Term::Any(all(terms)),
    }
}

pub(crate) fn probe(config: &Config, concurrency: usize) -> ProbeConfig {
    let probe = &config.probe;
    ProbeConfig {
        handshake_timeout: probe.timeout,
        suspect_interval: SUSPECT_INTERVAL.min(probe.interval),
        dead_interval: probe.dead_interval.max(probe.interval),
        concurrency: Some(concurrency),
        ..probe.clone()
    }
}

pub(crate) fn fetch(config: &Config) -> FetchConfig {
    FetchConfig { total: config.fetch.request.saturating_mul(5), ..config.fetch.clone() }
}

pub(crate) fn source(source: &SourceConfig) -> SourceSpec {
    SourceSpec {
        interval: source.interval,
        user_agent: source.user_agent.as_deref().map(Into::into),
        headers: headers(source),
        max_bytes: source.max_bytes.0,
        via: source.via,
        allow_private: source.allow_private,
        is_followed: matches!(source.origin, SourceOrigin::Hezar { .. }),
        ..SourceSpec::new(Arc::from(source.name.as_str()), kind(&source.origin))
    }
}

/// The headers of a source's requests; the token of another instance is one of them.
fn headers(source: &SourceConfig) -> Vec<(Box<str>, Secret)> {
    let given = source.headers.0.iter().map(|(name, value)| (name.as_str().into(), value.clone()));
    let token = match &source.origin {
        SourceOrigin::Hezar { token, .. } => {
            Some(("authorization".into(), Secret::new(format!("Bearer {}", token.expose()))))
        }
        _ => None,
    };
    given.chain(token).collect()
}

fn kind(origin: &SourceOrigin) -> SourceKind {
    match origin {
        SourceOrigin::Url(url) => SourceKind::Url(url.clone()),
        SourceOrigin::File(file) => SourceKind::File(file.display().to_string().into()),
        SourceOrigin::Links(links) => SourceKind::Inline(links.clone()),
        SourceOrigin::GitHub { owner, repo, branch, paths, token } => SourceKind::GitHub {
            repository: format!("{owner}/{repo}").into(),
            reference: branch.as_deref().map(Into::into),
            patterns: paths.iter().map(|path| path.as_str().into()).collect(),
            token: token.clone(),
        },
        // What such a source lists is known to the program alone; here it only has to be told from other kinds.
        SourceOrigin::Tor(_) => SourceKind::Inline(vec!["tor:".into()]),
        SourceOrigin::Hezar { url, .. } => SourceKind::Url(Secret::new(feed_url(url, &[]).as_str())),
        SourceOrigin::Telegram { channel, pages } => SourceKind::Telegram {
            channel: channel.as_str().into(),
            pages: u32::try_from(*pages).unwrap_or(SourceSpec::MAX_PAGES),
        },
    }
}

/// What bare addresses in a document are: what the source says, else what the document's name hints at.
pub(crate) fn hints(source: &SourceConfig, document: &str) -> Hints {
    let default_scheme = match source.scheme.as_ref().map(|scheme| scheme.0) {
        Some("http") => ListScheme::Http,
        Some("socks4") => ListScheme::Socks4,
        Some("socks4a") => ListScheme::Socks4a,
        Some("socks5") => ListScheme::Socks5,
        _ => return Hints::from_file_name(document),
    };
    Hints { default_scheme }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn read(text: &str) -> Config {
        Config::read(text, None, &Layers::default()).unwrap()
    }

    #[test]
    fn a_listener_becomes_a_filter_of_the_pool() {
        let config = read(
            "[[listener]]\nname = \"europe\"\nlisten = \"127.0.0.1:8001\"\ncountries = [\"de\", \"NL\"]\n\
             schemes = [\"SS\"]\ntags = \"paid & !slow\"\nmax_latency = \"800ms\"\ntop = 50\nallow_insecure = false",
        );
        let filter = filter(&config, &config.listeners[0]);
        assert_eq!((filter.top, filter.max_latency), (Some(50), Some(Duration::from_millis(800))));
        let Term::All(terms) = filter.term else { panic!("{:?}", filter.term) };
        assert_eq!(terms.len(), 4);
    }

    #[test]
    fn clients_behind_a_web_server_come_from_other_machines() {
        let rules = |rest: &str| {
            let config =
                read(&format!("[[listener]]\nname = \"l\"\nkind = \"vless\"\nlisten = \"127.0.0.1:8001\"\n{rest}"));
            listener(&config, &config.listeners[0], None).rules
        };
        let tls = "tls.acme = [\"vps.example.org\"]\n";
        assert_eq!(rules(tls), AccessRules::default(), "on loopback, clients are this machine's own");
        let proxied = format!("{tls}proxy_protocol = [\"127.0.0.0/8\"]\n");
        for rest in ["insecure_plain = true\n", &proxied] {
            let rules = rules(rest);
            let denied = |port| rules.deny_ports.as_ref().is_some_and(|ports| ports.contains(port));
            assert!(denied(25) && denied(587) && !denied(443), "{rest}");
            assert_eq!(rules.allow_private_targets, Some(false), "{rest}");
        }
        let said = rules("insecure_plain = true\nallow_private_targets = true\ndeny_ports = [443]\n");
        assert_eq!(said.allow_private_targets, Some(true));
        assert!(said.deny_ports.is_some_and(|ports| ports.contains(443) && !ports.contains(25)));
    }

    #[test]
    fn settings_reach_the_parts_that_use_them() {
        let rules = rules(&read(
            "[pool]\nmax_nodes = 5\nmax_nodes_per_source = 4\nmax_nodes_per_server = 3\nallow_insecure = false",
        ));
        assert_eq!((rules.bounds.total, rules.bounds.per_source, rules.bounds.per_server), (5, 4, 3));
        assert!(!rules.allow_insecure);
        let per_second = |text: &str| probe(&read(text), 1).per_host_per_second;
        assert_eq!((per_second(""), per_second("[probe]\nper_host_per_second = 0")), (16, 0));
        assert!(!gateway(&read("proxy.name_exit = false")).name_exit);
    }
}
