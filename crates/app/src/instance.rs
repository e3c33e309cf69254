//! One running instance: every room built, wired, and taken down in order.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, bail};
use hezar_api::Control;
use hezar_core::Secret;
use hezar_engine::{Clock, Dialer, Outbounds, OutboundsConfig};
use hezar_gateway::{Gateway, GatewayConfig, Sessions};
use hezar_pool::{Pool, Watch};
use hezar_probe::{Geo, Prober};
use hezar_store::{SessionRow, SourceRow, Store, WriteSummary, Writer, WriterConfig};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    bans::Bans,
    by_hand::BY_HAND_PRIVATE,
    collect::Collector,
    config::Config,
    control::{Desk, register_pool, register_tasks},
    diagnosis::Diagnosis,
    files,
    geo::Countries,
    greeting::Greeting,
    persist::Handover,
    places::UserFolders,
    restore::{self, Loaded},
    running::{Announcement, create_private_folder},
    sessions::Keeper,
    spec, store_status,
    supervise::{self, Supervisor, TaskMetrics},
    token,
};

/// What a node carries: its dialer, from its first use.
pub(crate) type Payload = Arc<dyn Dialer>;
/// The pool of this program.
pub(crate) type Nodes = Pool<Payload>;

/// Descriptors kept for everything that is not a probe or a tunnel.
const SPARE_FILES: u64 = 256;

/// The rooms that every command with a store needs.
pub(crate) struct Base {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) outbounds: Outbounds,
    pub(crate) pool: Arc<Nodes>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Registry,
    /// What came of the store's rows.
    pub(crate) loaded: Loaded,
    /// Nodes that must not come back.
    pub(crate) bans: Bans,
    /// The sources as the store knew them.
    pub(crate) sources: Vec<SourceRow>,
    /// The sessions as the store knew them.
    pub(crate) sessions: Vec<SessionRow>,
    /// Everything that changes in the pool from its first moment.
    watch: Option<Watch>,
    /// Countries of addresses, when a database is configured.
    pub(crate) geo: Option<Arc<Countries>>,
    /// Whether the nodes are those of `--demo`.
    pub(crate) demo: bool,
    files: u64,
}

impl Base {
    /// Opens the store and fills the pool from it.
    pub(crate) async fn open(config: Config) -> anyhow::Result<Self> {
        let files = files::make_room();
        create_data_folder(&config.data)?;
        let store = hezar_store::open(config.store.url.expose(), &config.data, hezar_store::Access::Exclusive).await?;
        let clock = Clock::start();
        let pool = Arc::new(Pool::new(spec::rules(&config)));
        let geo = config.geo.mmdb.as_deref().map(Countries::open).transpose()?.map(Arc::new);
        let mut state = store.load().await?;
        let mut sources = std::mem::take(&mut state.sources);
        for row in &mut sources {
            // What a source may do is said by the configuration, not by the store.
            let configured = config.sources.iter().find(|source| *source.name == *row.name);
            let by_hand = *row.name == *BY_HAND_PRIVATE;
            row.allow_private = configured.map_or(by_hand, |source| source.allow_private);
        }
        let (bans, mut repairs) = restore::bans(std::mem::take(&mut state.bans));
        let bans = Bans::restore(bans, &pool);
        let mut loaded = restore::restore(&state, &sources, &pool, geo.as_deref(), clock.now());
        loaded.repairs.append(&mut repairs);
        let sessions = loaded.rename_sessions(state.sessions);
        let watch = Some(pool.watch());
        tracing::info!(nodes = loaded.nodes, "store loaded");
        loaded.warn();
        let outbounds = Outbounds::new(&OutboundsConfig::default());
        let registry = Registry::default();
        Ok(Self {
            config,
            clock,
            outbounds,
            pool,
            store,
            loaded,
            bans,
            registry,
            sources,
            sessions,
            watch,
            geo,
            demo: false,
            files,
        })
    }

    /// Probes at a time: what the configuration says, else a share of the open-file limit.
    pub(crate) fn probe_concurrency(&self) -> usize {
        let share = usize::try_from(self.files.saturating_sub(SPARE_FILES) / 4).unwrap_or(usize::MAX);
        self.config.probe.concurrency.unwrap_or(share.clamp(16, 2000))
    }
}

/// Runs everything until `stop` is cancelled.
pub(crate) async fn run(mut base: Base, stop: CancellationToken) -> anyhow::Result<()> {
    let proxy = listen(base.config.proxy.listen, "proxy.listen or --listen").await?;
    let api = match base.config.api.listen {
        Some(address) => Some(listen(address, "api.listen or --api").await?),
        None => None,
    };
    let disk = Disk::start(&mut base);
    let collector = Collector::new(&mut base, &disk).await?;
    let board = collector.board();
    let prober = Arc::new(prober(&mut base)?);
    let mut listeners = vec![spec::gateway(&base.config)];
    let mut sockets = vec![proxy];
    for listener in &base.config.listeners {
        let filter = base.pool.add_filter(spec::filter(&base.config, listener))?;
        listeners.push(spec::listener(&base.config, listener, filter));
        sockets.push(listen(listener.listen, "listen of the [[listener]]").await?);
    }
    let own: Result<Vec<_>, _> = sockets.iter().chain(&api).map(TcpListener::local_addr).collect();
    base.outbounds.set_own_listeners(own?);
    let bounds = &base.config.proxy;
    let sessions = Sessions::new(bounds.max_sessions).of_user(bounds.max_sessions_per_user);
    let sessions = Arc::new(sessions);
    let kept = std::mem::take(&mut base.sessions);
    let keeper = Keeper::new(Arc::clone(&sessions), Arc::clone(&base.pool), base.clock, kept);
    let metrics = hezar_gateway::Metrics::default();
    metrics.register(&mut base.registry);
    let diagnosis = Diagnosis {
        pool: Arc::clone(&base.pool),
        board: board.clone(),
        clock: base.clock,
        prober: Arc::clone(&prober),
        sources: base.config.sources.iter().filter(|source| source.enabled).map(|source| source.name.clone()).collect(),
        line: Arc::default(),
    };
    let line = Arc::clone(&diagnosis.line);
    let gateway = |config| {
        let line = Arc::clone(&line);
        gateway(&base, config, &metrics, &sessions).with_explanation(move || line.read().clone())
    };
    let gateways: Vec<_> = listeners.iter().map(gateway).collect();
    register_pool(&mut base.registry, Arc::clone(&base.pool), board.clone());
    register_tasks(&mut base.registry);
    store_status::register(&mut base.registry, disk.writer.clone());

    let address = sockets[0].local_addr()?;
    tracing::info!(%address, "proxy listens");
    let mut greeting = Greeting {
        proxies: sockets.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?,
        api: None,
        nodes: base.pool.snapshot().counts(),
        sources: base.config.sources.iter().filter(|source| source.enabled).count(),
        config: base.config.file.clone(),
        demo: base.demo,
    };
    let task_metrics = TaskMetrics::default();
    task_metrics.register(&mut base.registry);
    task_metrics.watch_panics();
    let mut tasks = Supervisor::new(stop.clone(), task_metrics);
    tasks.essential("store writer", disk.watch(stop.clone()));
    let (handover, persisting) = (Arc::clone(&disk.handover), stop.clone());
    tasks.essential("persist", async move { handover.run(persisting).await });
    tasks.restarting(
        "prober",
        every_time(&stop, Arc::clone(&prober), |prober, stop| async move {
            prober.run(stop).await;
            Ok(())
        }),
    );
    let collector = Arc::new(collector);
    tasks.restarting(
        "collector",
        every_time(&stop, Arc::clone(&collector), |collector, stop| async move {
            collector.run(&stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "diagnosis",
        every_time(&stop, Arc::new(diagnosis.clone()), |diagnosis, stop| async move {
            diagnosis.watch(stop).await;
            Ok(())
        }),
    );
    if let Some(geo) = base.geo.clone() {
        tasks.restarting(
            "geo",
            every_time(&stop, geo, |geo, stop| async move {
                geo.follow(stop).await;
                Ok(())
            }),
        );
    }
    let keeper = Arc::new((Mutex::new(keeper), disk.writer.clone()));
    tasks.restarting(
        "sessions",
        every_time(&stop, keeper, |keeper, stop| async move {
            keeper.0.lock().await.run(&keeper.1, &stop).await;
            Ok(())
        }),
    );
    for (gateway, socket) in gateways.into_iter().zip(sockets) {
        let stop = stop.clone();
        tasks.essential("gateway", async move { Ok(gateway.serve(socket, stop).await?) });
    }
    let mut announcement = None;
    if let Some(listener) = api {
        let (token, api_address) = (token::load_or_make(&base.config)?, listener.local_addr()?);
        announcement = announce(&base.config, api_address, &token);
        let token_file = base.config.api.token.is_none().then(|| base.config.data.join(token::TOKEN_FILE));
        greeting.api = Some((api_address, token_file));
        let desk = Desk {
            pool: Arc::clone(&base.pool),
            clock: base.clock,
            started: base.clock.now(),
            proxy: address,
            board,
            bans: base.bans,
            registry: Arc::new(base.registry),
            sessions,
            metrics,
            listeners,
            prober,
            collector,
            diagnosis,
        };
        let config = hezar_api::ApiConfig { token, hosts: base.config.api.hosts.clone() };
        tracing::info!(address = %api_address, "api listens");
        let parts = Arc::new((listener.into_std()?, config, Arc::new(desk)));
        tasks.restarting(
            "api",
            every_time(&stop, parts, |parts, stop| async move {
                let (socket, config, desk) = &*parts;
                let listener = TcpListener::from_std(socket.try_clone()?)?;
                Ok(hezar_api::serve(listener, config.clone(), Arc::clone(desk) as Arc<dyn Control>, stop).await?)
            }),
        );
    }
    // A program that reads the log as JSON is not greeted.
    if !base.config.log.json {
        greeting.show();
    }
    let asked = stop.clone();
    let draining = tokio::spawn(async move {
        asked.cancelled().await;
        tracing::info!("draining");
    });
    let ended = tasks.finished().await;
    draining.abort();
    drop(announcement);
    let written = disk.finish(&*base.store).await;
    ended.and(written)?;
    tracing::info!("stopped");
    Ok(())
}

/// The writer and its task.
pub(crate) struct Disk {
    pub(crate) writer: Writer,
    pub(crate) handover: Arc<Handover>,
    task: JoinHandle<WriteSummary>,
    stop: CancellationToken,
    /// Cancelled when the task ends, however it does.
    ended: CancellationToken,
}

impl Disk {
    pub(crate) fn start(base: &mut Base) -> Self {
        let (writer, behind) = Writer::new(Arc::clone(&base.store), WriterConfig::default());
        let behind = behind.beginning_with(std::mem::take(&mut base.loaded.repairs));
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, guard) = (stop.clone(), ended.clone().drop_guard());
        let task = tokio::spawn(supervise::named("store writer", async move {
            let _guard = guard;
            behind.run(stopped).await
        }));
        let watch = base.watch.take().unwrap_or_else(|| base.pool.watch());
        let handover = Arc::new(Handover::new(Arc::clone(&base.pool), watch, writer.clone()));
        Self { writer, handover, task, stop, ended }
    }

    /// Fails when the writing task ends before `stop`.
    fn watch(&self, stop: CancellationToken) -> impl Future<Output = anyhow::Result<()>> + 'static {
        let ended = self.ended.clone();
        async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => Ok(()),
                () = ended.cancelled() => bail!("nothing is written to the store any more"),
            }
        }
    }

    /// Writes what is left and closes the store.
    pub(crate) async fn finish(self, store: &dyn Store) -> anyhow::Result<()> {
        self.stop.cancel();
        let summary = self.task.await.context("the writing task failed")?;
        store.close().await;
        tracing::info!(written = summary.written, batches = summary.batches, lost = summary.lost, "store closed");
        if summary.lost > 0 {
            bail!("{} changes could not be written to the store", summary.lost);
        }
        Ok(())
    }
}

/// What [`Supervisor::restarting`] takes: a task over parts that outlive it.
fn every_time<P, T>(
    stop: &CancellationToken,
    parts: Arc<P>,
    task: impl Fn(Arc<P>, CancellationToken) -> T + Send + Sync + 'static,
) -> impl Fn() -> T + Send + Sync + 'static
where
    P: Send + Sync + 'static,
{
    let stop = stop.clone();
    move || task(Arc::clone(&parts), stop.clone())
}

/// The prober, its metrics registered.
pub(crate) fn prober(base: &mut Base) -> anyhow::Result<Prober> {
    let metrics = hezar_probe::ProbeMetrics::default();
    metrics.register(&mut base.registry);
    let config = spec::probe(&base.config, base.probe_concurrency());
    let (pool, outbounds) = (Arc::clone(&base.pool), base.outbounds.clone());
    let geo = base.geo.clone().map(|geo| geo as Arc<dyn Geo>);
    Prober::new(config, pool, outbounds, geo, base.clock, metrics).context("probe")
}

fn gateway(base: &Base, config: &GatewayConfig, metrics: &hezar_gateway::Metrics, sessions: &Arc<Sessions>) -> Gateway {
    let (pool, outbounds) = (Arc::clone(&base.pool), base.outbounds.clone());
    let gateway = Gateway::new(config.clone(), pool, outbounds, base.clock, metrics.clone());
    gateway.with_sessions(Arc::clone(sessions))
}

/// Tells the user's commands where this instance is; they find it through the configuration otherwise.
fn announce(config: &Config, api: SocketAddr, token: &Secret) -> Option<Announcement> {
    let user = UserFolders::from_environment();
    match Announcement::make(api, token, config.file.as_deref(), &config.data, &user) {
        Ok(made) => Some(made),
        Err(error) => {
            tracing::warn!(%error, "no note for commands in other folders could be left");
            None
        }
    }
}

async fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another program using it? Choose another address with {key}")
    })
}

fn create_data_folder(data: &Path) -> anyhow::Result<()> {
    create_private_folder(data).with_context(|| format!("cannot create the data folder {} (--data)", data.display()))
}

/// Completes when the program is asked to end: SIGTERM, or SIGINT from the terminal.
pub(crate) async fn end_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Tells what a hangup does not do, for as long as it runs: the program goes on when its terminal is closed, and the
/// configuration is read at the start only.
pub(crate) async fn ignore_hangups() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut hangup) = signal(SignalKind::hangup()) {
            while hangup.recv().await.is_some() {
                tracing::warn!(
                    "SIGHUP: the configuration is read at the start only, restart to apply a change; this instance goes on"
                );
            }
        }
    }
}
