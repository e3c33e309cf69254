//! `[[listener]]`: further addresses for clients, each with its own nodes, users and limits.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use hezar_core::settings::{ByteCount, is_public};
use hezar_gateway::Limits;
use hezar_pool::{Strategy, TooManyFilters};

use super::{Config, ListenerConfig, expression, resolve::users, section::Section, source::MANUAL_SOURCES};

const MAX_LATENCY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// Reads all of them; what a listener does not say, it does as `[proxy]` does.
pub(super) fn listeners(sections: Vec<Section<'_>>, config: &Config) -> Vec<ListenerConfig> {
    let mut read: Vec<ListenerConfig> = Vec::new();
    for section in sections {
        if read.len() >= TooManyFilters::MOST {
            section.problem("name", format_args!("there are at most {} listeners", TooManyFilters::MOST));
            break;
        }
        if let Some(listener) = listener(section, config, &read) {
            read.push(listener);
        }
    }
    read
}

fn listener(mut section: Section<'_>, config: &Config, others: &[ListenerConfig]) -> Option<ListenerConfig> {
    let (name, listen) = (section.text("name"), section.value::<SocketAddr>("listen", &()));
    let good = name.as_deref().is_some_and(|name| !name.is_empty() && name.len() <= 64 && name != "proxy");
    if !good || others.iter().any(|other| Some(&other.name) == name.as_ref()) {
        section.problem("name", "a listener needs a name of its own of 1 to 64 characters, other than \"proxy\"");
    }
    if listen.is_none() {
        section.problem("listen", "a listener needs an address, such as \"127.0.0.1:8001\"");
    }
    let strategy = section.value::<Strategy>("strategy", &());
    let users = users(&mut section);
    let countries = section.texts("countries").unwrap_or_default();
    let letters: Vec<_> = countries.iter().filter_map(|text| expression::country(text)).collect();
    if letters.len() < countries.len() {
        section.problem("countries", "a country is two letters (ISO 3166), such as \"DE\"");
    }
    let sources = section.texts("sources").unwrap_or_default();
    for source in &sources {
        if !config.sources.iter().any(|known| known.name == *source) && !MANUAL_SOURCES.contains(&source.as_str()) {
            section.problem("sources", format_args!("there is no source named {source:?}"));
        }
    }
    let schemes = section.texts("schemes").unwrap_or_default();
    let tags_text = section.text("tags");
    let tags = tags_text.as_deref().and_then(expression::read);
    if tags_text.is_some() && tags.is_none() {
        section.problem("tags", "expected an expression such as \"paid & !slow | country:de\"");
    }
    let max_latency = section.value("max_latency", &MAX_LATENCY);
    let top = section.value("top", &(1..=1_000_000));
    let allow_insecure = section.boolean("allow_insecure").unwrap_or(true);
    let client_limits = limits(section.section("client_limits"));
    let open = listen.is_some_and(is_public);
    let own_users = if users.is_empty() { config.proxy.users.clone() } else { users };
    if open && own_users.is_empty() {
        section.problem("listen", "it can be reached from other machines: add users, or listen on 127.0.0.1");
    }
    section.finish();
    Some(ListenerConfig {
        name: name.filter(|_| good)?,
        listen: listen?,
        strategy: strategy.unwrap_or(config.proxy.strategy),
        users: own_users,
        client_limits,
        countries: letters,
        sources,
        schemes: schemes.into_iter().map(|scheme| scheme.to_ascii_lowercase()).collect(),
        tags,
        tags_text,
        max_latency,
        top,
        allow_insecure,
    })
}

/// A table of limits.
pub(super) fn limits(mut section: Section<'_>) -> Limits {
    let limits = limits_of(&mut section);
    section.finish();
    limits
}

/// The keys of limits, which stand beside others.
pub(super) fn limits_of(section: &mut Section<'_>) -> Limits {
    let mut number = |key| section.value(key, &(1..=1_000_000));
    let (connections, requests) = (number("connections"), number("requests_per_second"));
    let bytes: Option<ByteCount> = section.value("bytes_per_second", &(1024..=1 << 40));
    Limits { connections, requests, bytes: bytes.map(|bytes| bytes.0) }
}
