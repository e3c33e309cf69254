//! What differs between two configurations, in words, and whether it can be applied while an instance runs.

use hezar_core::settings::Settings;

use crate::config::{Config, ListenerConfig, SourceConfig, needs_restart};

/// What differs between two configurations, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What can be applied while the instance runs.
    pub(crate) changed: Vec<String>,
    /// The keys that need a restart.
    pub(crate) restart: Vec<String>,
    pub(super) probe: bool,
    pub(super) fetch: bool,
    pub(super) sources: bool,
    pub(super) api: bool,
    pub(super) geo: bool,
    pub(super) log: bool,
    pub(super) access_log: bool,
}

impl Difference {
    /// What differs from `old` to `new`.
    pub(crate) fn between(old: &Config, new: &Config) -> Self {
        let mut difference = Self::default();
        if old.data != new.data {
            difference.restart.push("data".to_owned());
        }
        difference.settings(&old.proxy, &new.proxy);
        difference.settings(&old.proxy.rules, &new.proxy.rules);
        difference.special("proxy.feedback", old.proxy.feedback != new.proxy.feedback);
        difference.special("proxy.users", old.proxy.users != new.proxy.users);
        difference.special("proxy.client_limits", old.proxy.client_limits != new.proxy.client_limits);
        difference.special("proxy.tls", old.proxy.tls != new.proxy.tls);
        difference.api = difference.settings(&old.api, &new.api);
        difference.special("api.tls", old.api.tls != new.api.tls);
        difference.api |= old.api.tls != new.api.tls;
        difference.settings(&old.clash, &new.clash);
        difference.settings(&old.engine, &new.engine);
        difference.settings(&old.pool, &new.pool);
        difference.probe = difference.settings(&old.probe, &new.probe);
        difference.settings(&old.health, &new.health);
        let canaries = old.probe.canaries != new.probe.canaries;
        difference.special("probe.canary_url", canaries);
        difference.probe |= canaries || old.health.dead_after != new.health.dead_after;
        difference.fetch = difference.settings(&old.fetch, &new.fetch);
        difference.settings(&old.tls, &new.tls);
        difference.geo = difference.settings(&old.geo, &new.geo);
        difference.settings(&old.store, &new.store);
        difference.settings(&old.cluster, &new.cluster);
        difference.log = difference.settings(&old.log, &new.log);
        difference.access_log = difference.settings(&old.access_log, &new.access_log);
        difference.settings(&old.otlp, &new.otlp);
        difference.settings(&old.tor, &new.tor);
        difference.settings(&old.sidecar, &new.sidecar);
        difference.sources = difference.fetch;
        for (name, what) in changes(&old.sources, &new.sources, |source| &source.name, change_of_source) {
            difference.sources = true;
            difference.changed.push(format!("source {name:?} {what}"));
        }
        for (name, what) in changes(&old.listeners, &new.listeners, |listener| &listener.name, change_of_listener) {
            difference.changed.push(format!("listener {name:?} {what}"));
        }
        for (name, what) in changes(&old.subscriptions, &new.subscriptions, |given| &given.name, |_, _| "changed") {
            difference.changed.push(format!("subscription {name:?} {what}"));
        }
        for (name, what) in changes(&old.alerts, &new.alerts, |alert| &alert.name, |_, _| "changed") {
            difference.changed.push(format!("alert {name:?} {what}"));
        }
        difference
    }

    /// Notes which settings of a struct differ, and says whether any does.
    fn settings<S: Settings>(&mut self, old: &S, new: &S) -> bool {
        let mut any = false;
        for setting in old.differences(new) {
            let key = format!("{}.{}", setting.section(), setting.key());
            if needs_restart(&key) { &mut self.restart } else { &mut self.changed }.push(key);
            any = true;
        }
        any
    }

    fn special(&mut self, key: &str, differs: bool) {
        if differs {
            self.changed.push(key.to_owned());
        }
    }
}

/// What happened to the named things of two lists.
fn changes<T: PartialEq>(
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &str,
    change: impl Fn(&T, &T) -> &'static str,
) -> Vec<(String, &'static str)> {
    let find = |list: &'_ [T], wanted: &T| list.iter().position(|other| name(other) == name(wanted));
    let gone = old.iter().filter(|old| find(new, old).is_none()).map(|old| (name(old).to_owned(), "removed"));
    let others = new.iter().filter_map(|new| match find(old, new).and_then(|index| old.get(index)) {
        None => Some((name(new).to_owned(), "added")),
        Some(old) if old == new => None,
        Some(old) => Some((name(new).to_owned(), change(old, new))),
    });
    gone.chain(others).collect()
}

fn change_of_source(old: &SourceConfig, new: &SourceConfig) -> &'static str {
    match (old.enabled, new.enabled) {
        (true, false) => "paused",
        (false, true) => "resumed",
        _ => "changed",
    }
}

fn change_of_listener(old: &ListenerConfig, new: &ListenerConfig) -> &'static str {
    if old.listen == new.listen { "changed" } else { "moved" }
}

#[cfg(test)]
mod tests;
