//! The parts of an instance: how they are built, in the order in which they need each other, and what they count.

use std::sync::Arc;

use hezar_core::Role;
use hezar_engine::Clock;
use hezar_gateway::{Connections, Gateway, RequestTracer, Sessions, SharedSessions, Usage};
use hezar_store::Store;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{StoreTask, figures::FigureSources};
use crate::{
    base::Base,
    certificates::{self, Certificates},
    clash_engine::{self, ClashEngine},
    cluster::{self, Membership},
    config::ConfigReader,
    convert, cores,
    dashboard::DashboardState,
    diagnosis::Diagnosis,
    inherited_sockets::InheritedSockets,
    logs::{LogControl, access::AccessLogControl},
    metrics::{register_data_folder, register_instance, register_pool, register_process, register_tasks},
    nodes::Nodes,
    objects::AppliedConfig,
    pause::Pause,
    runtime::{
        Parts, Runtime,
        api_server::{ApiPlan, ApiServer},
        listeners::Listeners,
        prober::ProberSlot,
    },
    sources::Collector,
    store_sync::{
        sessions::{SessionSync, SessionsAmongGateways},
        status as store_status,
        usage::UsageSync,
    },
    tokens::ApiTokens,
    tor::TorSources,
};

/// What the parts are built from beside the configuration, the store and the pool.
pub(super) struct Surroundings {
    /// Reads the configuration again.
    pub(super) reader: ConfigReader,
    /// Where the log can be changed.
    pub(super) log: Arc<LogControl>,
    /// Listening sockets that this process was given.
    pub(super) inherited: InheritedSockets,
    /// Where the gateway puts what it traces.
    pub(super) tracer: RequestTracer,
    /// Ends what is open at the gateway.
    pub(super) draining: CancellationToken,
}

/// The parts of an instance, which its tasks, its API and a takeover share.
pub(super) struct InstanceParts {
    pub(super) clock: Clock,
    pub(super) pool: Arc<Nodes>,
    pub(super) store: Arc<dyn Store>,
    pub(super) membership: Arc<Membership>,
    /// Lets the tasks that use the store rest while another process takes over.
    pub(super) pause: Pause,
    pub(super) certificates: Arc<Certificates>,
    pub(super) api: Arc<ApiServer>,
    pub(super) collector: Arc<Collector>,
    pub(super) prober: Arc<ProberSlot>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) session_sync: Arc<Mutex<SessionSync>>,
    /// The sessions of all gateways, where others serve the same store.
    pub(super) sessions_among_gateways: Option<Arc<SessionsAmongGateways>>,
    pub(super) metrics: hezar_gateway::Metrics,
    pub(super) usage: Arc<Usage>,
    pub(super) usage_sync: Arc<UsageSync>,
    pub(super) diagnosis: Diagnosis,
    pub(super) dashboard: Arc<DashboardState>,
    pub(super) connections: Arc<Connections>,
    pub(super) access_log: Arc<AccessLogControl>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) tor: Arc<TorSources>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) tokens: Arc<ApiTokens>,
    /// The Clash cores that serve, where they are the engine.
    pub(super) clash: Option<Arc<ClashEngine>>,
}

impl InstanceParts {
    /// Builds everything and opens the listeners, at which clients wait until the tasks run. Beside the parts it returns the task that
    /// writes to the store, and where the API is to listen.
    ///
    /// # Errors
    /// An address cannot be bound, or something that the configuration names cannot be read or used.
    pub(super) async fn build(
        base: &mut Base,
        surroundings: Surroundings,
    ) -> anyhow::Result<(Self, StoreTask, ApiPlan)> {
        let Surroundings { reader, log, mut inherited, tracer, draining } = surroundings;
        let certificates = Arc::new(Certificates::new(base.config.data.clone(), &base.native, base.clock));
        certificates.prepare(&base.config)?;
        let api_socket = inherited.split_off_api(base.config.api.address());
        let api = Arc::new(ApiServer::new(Arc::clone(&certificates), api_socket));
        let api_plan = api.plan(&base.config).await?;
        let clash = ClashEngine::prepare(base).await?;
        let name = base.name.clone().unwrap_or_else(|| cluster::name(&base.config));
        let membership = Arc::new(Membership::new(name, &base.config, base.store.shared(), base.clock.now()));
        let store_task = StoreTask::start_among(base, membership.ownership());
        let collector = Collector::new(base, &store_task.node_sync, &store_task.writer).await?.sharing(&membership);
        let collector = Arc::new(collector);
        let prober = Arc::new(ProberSlot::new(base, membership.ownership(), clash.as_ref())?);
        let (sessions, session_sync, sessions_among_gateways) = sessions(base);
        let usage = Arc::new(Usage::default());
        let usage_sync = UsageSync::open(Arc::clone(&usage), Arc::clone(&base.store), &*base.contents, base.clock);
        let usage_sync = Arc::new(usage_sync.await?);
        let diagnosis = Diagnosis {
            pool: Arc::clone(&base.pool),
            table: collector.table(),
            clock: base.clock,
            prober: Arc::clone(&prober),
            collector: Arc::clone(&collector),
            line: Arc::default(),
        };
        let kept = std::mem::take(&mut base.dashboard);
        let dashboard = Arc::new(DashboardState::restore(kept, &base.pool, &base.config));
        let metrics = hezar_gateway::Metrics::default();
        let gateway = gateway(base, &metrics, &diagnosis)
            .with_sessions(Arc::clone(&sessions))
            .with_usage(Arc::clone(&usage))
            .with_tracer(tracer)
            .with_groups(Arc::clone(&dashboard.groups));
        let gateway = match &sessions_among_gateways {
            Some(among) => gateway.with_shared_sessions(Arc::clone(among) as Arc<dyn SharedSessions>),
            None => gateway,
        };
        let connections = Arc::clone(gateway.connections());
        let access_log = Arc::new(AccessLogControl::new(Arc::clone(gateway.access_log())));
        access_log.replace(access_log.open(&base.config.access_log)?);
        let listeners = Arc::new(
            Listeners::new(
                gateway,
                Arc::clone(&base.pool),
                base.native.clone(),
                Arc::clone(&certificates),
                api_plan.address(),
                inherited,
                draining,
            )
            .serving(base.config.cluster.roles.has(Role::Gateway))
            .at_core(clash.is_some()),
        );
        listeners.carry_out(listeners.plan(&base.config).await?)?;
        if let Some(clash) = &clash {
            clash.apply(&base.config, listeners.addresses()).await;
        }
        certificates.keep(&base.config);
        let tor = Arc::new(TorSources::new(
            &base.config,
            Arc::clone(&collector),
            Arc::clone(&base.pool),
            base.clock,
            Arc::clone(&base.geo),
        ));
        let applied = AppliedConfig { config: base.config.clone(), objects: std::mem::take(&mut base.objects) };
        let changeable = Parts {
            store: Arc::clone(&base.store),
            clock: base.clock,
            pool: Arc::clone(&base.pool),
            native: base.native.clone(),
            sessions: Arc::clone(&sessions),
            listeners: Arc::clone(&listeners),
            certificates: Arc::clone(&certificates),
            prober: Arc::clone(&prober),
            collector: Arc::clone(&collector),
            tor: Arc::clone(&tor),
            geo: Arc::clone(&base.geo),
            log,
            access_log: Arc::clone(&access_log),
            api: Arc::clone(&api),
            dashboard: Arc::clone(&dashboard),
            clash: clash.clone(),
            cores: Arc::clone(&base.cores),
        };
        let runtime = Arc::new(Runtime::new(reader, applied, changeable));
        let tokens = Arc::new(ApiTokens::new(std::mem::take(&mut base.tokens), Arc::clone(&base.store), base.clock));
        let parts = Self {
            clock: base.clock,
            pool: Arc::clone(&base.pool),
            store: Arc::clone(&base.store),
            membership,
            pause: Pause::default(),
            certificates,
            api,
            collector,
            prober,
            sessions,
            session_sync,
            sessions_among_gateways,
            metrics,
            usage,
            usage_sync,
            diagnosis,
            dashboard,
            connections,
            access_log,
            listeners,
            tor,
            runtime,
            tokens,
            clash,
        };
        parts.register(base, &store_task);
        let figures = FigureSources::new(&parts, &store_task.writer);
        parts.membership.set_facts(move || figures.read());
        Ok((parts, store_task, api_plan))
    }

    /// Registers what the parts count, as far as they have not done so themselves.
    fn register(&self, base: &mut Base, store_task: &StoreTask) {
        let registry = &mut base.registry;
        self.metrics.register(registry);
        self.access_log.register(registry);
        register_pool(registry, Arc::clone(&self.pool), self.collector.table());
        register_tasks(registry);
        cluster::register(registry, Arc::clone(&self.membership), self.clock);
        certificates::register(registry, Arc::clone(&self.certificates));
        register_process(registry);
        register_instance(registry, Arc::clone(&self.connections), Arc::clone(&self.sessions));
        register_data_folder(registry, base.config.data.clone());
        cores::register(registry, Arc::clone(&base.cores));
        if let Some(clash) = &self.clash {
            clash_engine::register(registry, Arc::clone(clash));
        }
        store_status::register(registry, store_task.writer.clone(), Arc::clone(&self.store), self.clock);
    }
}

/// The table of sessions, what writes those that change, and what shares them with other gateways.
type SessionParts = (Arc<Sessions>, Arc<Mutex<SessionSync>>, Option<Arc<SessionsAmongGateways>>);

/// The sessions of the store, and what keeps them in step with it.
fn sessions(base: &mut Base) -> SessionParts {
    let bounds = &base.config.proxy;
    let sessions = Sessions::new(bounds.max_sessions).with_user_limit(bounds.max_sessions_per_user);
    let sessions = Arc::new(sessions);
    let kept = std::mem::take(&mut base.sessions);
    let sync = SessionSync::new(Arc::clone(&sessions), Arc::clone(&base.pool), base.clock, kept);
    let (sync, among) = match base.store.shared() {
        Some(shared) => {
            let (sync, among) = sync.among_gateways(shared);
            (sync, Some(among))
        }
        None => (sync, None),
    };
    (sessions, Arc::new(Mutex::new(sync)), among)
}

/// A gateway without listeners, which tells clients why nothing works as the diagnosis says it.
fn gateway(base: &Base, metrics: &hezar_gateway::Metrics, diagnosis: &Diagnosis) -> Gateway {
    let (pool, engine) = (Arc::clone(&base.pool), Arc::clone(&base.engine));
    let line = Arc::clone(&diagnosis.line);
    Gateway::new(convert::gateway(&base.config), pool, engine, base.clock, metrics.clone())
        .with_explanation(move || line.read().clone())
}
