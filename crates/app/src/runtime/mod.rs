//! The parts of an instance that are changed while it runs, and the one way to change them: [`Runtime`].

pub(crate) mod api_server;
pub(crate) mod difference;
pub(crate) mod edit;
pub(crate) mod listeners;
pub(crate) mod prober;
pub(crate) mod reload;

use std::sync::Arc;

use hezar_gateway::Sessions;
use hezar_store::Store;
use parking_lot::RwLock;
use tokio::{sync::Mutex, task::spawn_blocking};
use url::Url;

use crate::{
    certificates::Certificates,
    clash_engine::{self, ClashEngine},
    config::{Config, ConfigReader, GeoConfig, StoredObject},
    convert,
    cores::Cores,
    dashboard::DashboardState,
    geo::{GeoDatabases, GeoLookup},
    logs::{self, LogControl, access::AccessLogControl},
    nodes::Nodes,
    objects::AppliedConfig,
    sources::Collector,
    tor::TorSources,
};
use api_server::ApiServer;
use difference::Difference;
use listeners::Listeners;
use prober::ProberSlot;
use reload::ReloadStatus;

/// What an instance consists of, as far as it can be changed while it runs.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: hezar_engine::Clock,
    pub(crate) pool: Arc<Nodes>,
    pub(crate) native: hezar_engine::NativeEngine,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) prober: Arc<ProberSlot>,
    pub(crate) collector: Arc<Collector>,
    pub(crate) tor: Arc<TorSources>,
    pub(crate) geo: Arc<GeoLookup>,
    pub(crate) log: Arc<LogControl>,
    pub(crate) access_log: Arc<AccessLogControl>,
    pub(crate) api: Arc<ApiServer>,
    pub(crate) dashboard: Arc<DashboardState>,
    /// The Clash cores that serve, where they are the engine.
    pub(crate) clash: Option<Arc<ClashEngine>>,
    pub(crate) cores: Arc<Cores>,
}

/// Everything of an instance that can be changed while it runs.
pub(crate) struct Runtime {
    reader: ConfigReader,
    parts: Parts,
    applied: RwLock<Arc<AppliedConfig>>,
    /// Held while another configuration is applied.
    changing: Mutex<()>,
    reloaded: RwLock<ReloadStatus>,
}

impl Runtime {
    pub(crate) fn new(reader: ConfigReader, applied: AppliedConfig, parts: Parts) -> Self {
        let reloaded = RwLock::new(ReloadStatus::new(reader.file(), parts.clock.wall()));
        Self { reader, parts, applied: RwLock::new(Arc::new(applied)), changing: Mutex::default(), reloaded }
    }

    /// What is in force now.
    pub(crate) fn applied(&self) -> Arc<AppliedConfig> {
        Arc::clone(&self.applied.read())
    }

    /// The page that probes ask for where they come out, or, without one, the page that they ask for at all.
    pub(crate) fn test_page(&self) -> Url {
        let probe = &self.applied().config.probe;
        probe.trace_url.clone().unwrap_or_else(|| probe.url.clone())
    }

    /// Applies a configuration: the one way by which anything is changed while the instance runs. The caller holds `changing`.
    ///
    /// # Errors
    /// Something of it cannot be done: then nothing has changed.
    async fn apply(&self, old: &Config, new: &Config) -> anyhow::Result<Difference> {
        let (difference, parts) = (Difference::between(old, new), &self.parts);
        // What may fail comes first, and changes nothing yet.
        if parts.clash.is_some() {
            clash_engine::check(new)?;
        }
        let prober = if difference.probe { Some(parts.prober.make(new)?) } else { None };
        let geo = if difference.geo { Some(open_databases(new.geo.clone()).await?) } else { None };
        let log = if difference.log { Some(logs::parts(&new.log)?) } else { None };
        parts.certificates.prepare(new)?;
        let access_log = if difference.access_log { Some(parts.access_log.open(&new.access_log)?) } else { None };
        let api = if difference.api { Some(parts.api.plan(new).await?) } else { None };
        let listeners = parts.listeners.plan(new).await?;
        parts.pool.set_rules(convert::rules(new));
        parts.sessions.set_limits(new.proxy.max_sessions, new.proxy.max_sessions_per_user);
        parts.native.tls().allow_own_hello(new.tls.own_hello);
        if let Some(log) = log {
            parts.log.apply(log)?;
        }
        if let Some(access_log) = access_log {
            parts.access_log.replace(access_log);
        }
        if let Some(geo) = geo {
            let (lookup, pool) = (Arc::clone(&parts.geo), Arc::clone(&parts.pool));
            spawn_blocking(move || lookup.replace(geo, &pool)).await?;
        }
        if let Some(api) = api {
            parts.listeners.set_api_address(parts.api.carry_out(api, new));
        }
        parts.listeners.carry_out(listeners)?;
        // Also when no setting differs: a core may have been installed or removed.
        let (cores, sidecar) = (Arc::clone(&parts.cores), new.sidecar.clone());
        spawn_blocking(move || cores.apply(&sidecar)).await?;
        if let Some(clash) = &parts.clash {
            clash.apply(new, parts.listeners.addresses()).await;
        }
        parts.certificates.keep(new);
        if difference.sources {
            parts.collector.apply(new, difference.fetch).await?;
            // The collector knows the sources before they list anything.
            parts.tor.apply(new);
        }
        if let Some(prober) = prober {
            parts.prober.replace(prober);
        }
        Ok(difference)
    }

    /// Notes what is in force from now on. What needs a restart stays as it was, so that the next comparison names it again.
    fn set_applied(&self, old: &Config, new: Config, objects: Vec<StoredObject>) {
        let config = Config {
            data: old.data.clone(),
            store: old.store.clone(),
            cluster: old.cluster.clone(),
            tor: old.tor.clone(),
            engine: old.engine.clone(),
            ..new
        };
        self.parts.dashboard.configure(&config);
        *self.applied.write() = Arc::new(AppliedConfig { config, objects });
    }
}

/// Reads databases of addresses, on a thread that serves no requests.
async fn open_databases(config: GeoConfig) -> anyhow::Result<GeoDatabases> {
    spawn_blocking(move || GeoDatabases::open(&config)).await?
}
