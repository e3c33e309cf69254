//! Another configuration for an instance that runs: what differs is applied, without touching anything else.

use std::{path::Path, sync::Arc, time::Duration};

use hezar_core::settings::Settings;
use tokio::{sync::Mutex, time::sleep};
use url::Url;

use super::{listeners::Listeners, prober::ProberSlot};
use crate::{
    config::{Config, ListenerConfig, SourceConfig},
    convert,
    nodes::Nodes,
    sources::Collector,
};

/// Reads the configuration again; every mistake is in the error.
pub(crate) type Loader = Box<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

/// Sections that are read at the start only.
const FIXED_SECTIONS: [&str; 4] = ["store", "api", "log", "geo"];
/// Keys of other sections that are.
const FIXED_KEYS: [&str; 2] = ["proxy.max_sessions", "proxy.max_sessions_per_user"];

/// What differs between two configurations, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What can be applied while the instance runs.
    pub(crate) changed: Vec<String>,
    /// The keys that need a restart.
    pub(crate) restart: Vec<String>,
    probe: bool,
    fetch: bool,
    sources: bool,
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
        difference.special("proxy.users", old.proxy.users != new.proxy.users);
        difference.special("proxy.feedback", old.proxy.feedback != new.proxy.feedback);
        difference.special("proxy.client_limits", old.proxy.client_limits != new.proxy.client_limits);
        difference.settings(&old.api, &new.api);
        difference.settings(&old.pool, &new.pool);
        difference.probe = difference.settings(&old.probe, &new.probe);
        difference.settings(&old.health, &new.health);
        let canaries = old.probe.canaries != new.probe.canaries;
        difference.special("probe.canary_url", canaries);
        difference.probe |= canaries || old.health.dead_after != new.health.dead_after;
        difference.fetch = difference.settings(&old.fetch, &new.fetch);
        difference.settings(&old.geo, &new.geo);
        difference.settings(&old.store, &new.store);
        difference.settings(&old.log, &new.log);
        difference.sources = difference.fetch;
        for (name, what) in changes(&old.sources, &new.sources, |source| &source.name, change_of_source) {
            difference.sources = true;
            difference.changed.push(format!("source {name:?} {what}"));
        }
        for (name, what) in changes(&old.listeners, &new.listeners, |listener| &listener.name, change_of_listener) {
            difference.changed.push(format!("listener {name:?} {what}"));
        }
        difference
    }

    /// Notes which settings of a struct differ, and says whether any does.
    fn settings<S: Settings>(&mut self, old: &S, new: &S) -> bool {
        let mut any = false;
        for setting in old.differences(new) {
            let key = format!("{}.{}", setting.section(), setting.key());
            let fixed = FIXED_SECTIONS.contains(&setting.section()) || FIXED_KEYS.contains(&&*key);
            if fixed { &mut self.restart } else { &mut self.changed }.push(key);
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

/// Everything of an instance that can be changed while it runs.
pub(crate) struct Runtime {
    load: Loader,
    /// What is in force. Held while another configuration is applied.
    current: Mutex<Config>,
    pool: Arc<Nodes>,
    listeners: Arc<Listeners>,
    prober: Arc<ProberSlot>,
    collector: Arc<Collector>,
}

impl Runtime {
    pub(crate) fn new(
        load: Loader,
        current: Config,
        pool: Arc<Nodes>,
        listeners: Arc<Listeners>,
        prober: Arc<ProberSlot>,
        collector: Arc<Collector>,
    ) -> Self {
        Self { load, current: Mutex::new(current), pool, listeners, prober, collector }
    }

    /// The page that probes ask for where they come out, or, without one, the page that they ask for at all.
    pub(crate) async fn test_page(&self) -> Url {
        let probe = &self.current.lock().await.probe;
        probe.trace_url.clone().unwrap_or_else(|| probe.url.clone())
    }

    /// Reads the configuration again and applies what differs.
    ///
    /// # Errors
    /// Every mistake of the configuration, or an address that cannot be bound: then nothing has changed.
    pub(crate) async fn reload(&self) -> anyhow::Result<Difference> {
        let file = self.current.lock().await.file.clone();
        if let Some(file) = file {
            settled(&file).await;
        }
        // The file is read on this thread: it is small.
        self.apply((self.load)()?).await
    }

    /// Applies a configuration: the one way by which anything is changed while the instance runs.
    ///
    /// # Errors
    /// Something of it cannot be done: then nothing has changed.
    pub(crate) async fn apply(&self, new: Config) -> anyhow::Result<Difference> {
        let mut current = self.current.lock().await;
        let difference = Difference::between(&current, &new);
        // What may fail comes first, and changes nothing yet.
        let prober = if difference.probe { Some(self.prober.make(&new)?) } else { None };
        let plan = self.listeners.plan(&new).await?;
        self.pool.set_rules(convert::rules(&new));
        self.listeners.carry_out(plan)?;
        if difference.sources {
            self.collector.apply(&new, difference.fetch).await?;
        }
        if let Some(prober) = prober {
            self.prober.replace(prober);
        }
        // What needs a restart stays as it is in force, so that the next call names it again.
        let Config { data, api, geo, store, log, proxy, .. } = &*current;
        let mut applied = Config {
            data: data.clone(),
            api: api.clone(),
            geo: geo.clone(),
            store: store.clone(),
            log: log.clone(),
            ..new
        };
        applied.proxy.max_sessions = proxy.max_sessions;
        applied.proxy.max_sessions_per_user = proxy.max_sessions_per_user;
        *current = applied;
        Ok(difference)
    }

    /// Reads the configuration again at every SIGHUP, for as long as it runs.
    pub(crate) async fn follow_hangups(&self) {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            if let Ok(mut hangup) = signal(SignalKind::hangup()) {
                while hangup.recv().await.is_some() {
                    tracing::info!("SIGHUP: the configuration is read again");
                    log(&self.reload().await);
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

/// How long a file must have stayed the same before it is read: an editor may be writing it, and half a file may be a good one.
const SETTLED: Duration = Duration::from_millis(100);
/// How often that is waited for.
const MOST_LOOKS: u32 = 20;

/// Waits until nobody writes to a file any more, or for 2 s.
async fn settled(file: &Path) {
    let look = || std::fs::metadata(file).ok().map(|metadata| (metadata.len(), metadata.modified().ok()));
    let mut last = look();
    for _ in 0..MOST_LOOKS {
        sleep(SETTLED).await;
        let now = look();
        if now == last {
            return;
        }
        last = now;
    }
}

fn log(result: &anyhow::Result<Difference>) {
    match result {
        Ok(Difference { changed, restart, .. }) if changed.is_empty() && restart.is_empty() => {
            tracing::info!("the configuration was read again: nothing differs");
        }
        Ok(Difference { changed, restart, .. }) => {
            tracing::info!(changed = changed.join(", "), "the configuration was read again and applied");
            if !restart.is_empty() {
                tracing::warn!(keys = restart.join(", "), "these keys need a restart");
            }
        }
        Err(error) => tracing::error!("the configuration was read again and nothing was changed: {error:#}"),
    }
}

#[cfg(test)]
mod tests;
