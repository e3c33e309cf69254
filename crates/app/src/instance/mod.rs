//! One running instance: builds every part, connects them, and stops them in order.

mod alert_tasks;
mod store_task;
mod takeover_tasks;
mod tasks;
mod trace_task;

use std::sync::Arc;

use hezar_api::{Control, EventHub, JobTable};
use hezar_gateway::{Gateway, RequestTracer, Sessions, Usage};
use tokio::{
    sync::{Mutex, Semaphore},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use crate::{
    alerts::FactSources,
    api::{ApiBackend, connections::RateSampler, events::EventFeed},
    base::Base,
    certificates::{self, Certificates},
    config::{ConfigReader, LogFormat},
    convert,
    dashboard::DashboardState,
    diagnosis::Diagnosis,
    greeting::Greeting,
    history::HistoryRecorder,
    inherited_sockets::InheritedSockets,
    logs::{self, LogControl, access::AccessLogControl},
    metrics::{NodeMetrics, register_data_folder, register_instance, register_pool, register_process, register_tasks},
    objects::AppliedConfig,
    otlp,
    pause::Pause,
    runtime::{Parts, Runtime, api_server::ApiServer, listeners::Listeners, prober::ProberSlot},
    sources::Collector,
    store_sync::{sessions::SessionSync, site_bans::SiteBanSync, snapshots, status as store_status, usage::UsageSync},
    supervise::{Supervisor, TaskMetrics},
    takeover::{DrainingParts, DrainingProcesses, Handover, HandoverParts, Predecessor, Program, TakeoverServer},
    token,
    tokens::ApiTokens,
    tor::{TorSources, TorTask},
};
pub(crate) use store_task::StoreTask;
use tasks::{every_time, follow_the_end, pausing, report_when_handed_over};

/// Requests of `POST /api/v1/test` that are under way at a time.
const MAX_TRIALS: usize = 4;

/// How this process came to be, and how another one like it is started.
pub(crate) struct Origin {
    pub(crate) program: Program,
    /// Listening sockets that it was given.
    pub(crate) inherited: InheritedSockets,
    /// The instance that waits until this one serves.
    pub(crate) predecessor: Option<Arc<Predecessor>>,
}

/// Runs everything until `asked` is cancelled or another process has taken over; `reader` reads the configuration again, and `log` is
/// where the log can be changed.
pub(crate) async fn run(
    mut base: Base,
    reader: ConfigReader,
    log: Arc<LogControl>,
    origin: Origin,
    asked: CancellationToken,
) -> anyhow::Result<()> {
    let Origin { program, mut inherited, predecessor } = origin;
    // Ends everything but what is open at the gateway, which ends with `draining`.
    let (stop, draining) = (CancellationToken::new(), CancellationToken::new());
    let certificates = Arc::new(Certificates::new(base.config.data.clone(), &base.native, base.clock));
    certificates.prepare(&base.config)?;
    let api_socket = inherited.split_off_api(base.config.api.address());
    let api = Arc::new(ApiServer::new(Arc::clone(&certificates), api_socket));
    let api_plan = api.plan(&base.config).await?;
    let store_task = StoreTask::start(&mut base);
    let collector = Arc::new(Collector::new(&mut base, &store_task.node_sync, &store_task.writer).await?);
    let table = collector.table();
    let prober = Arc::new(ProberSlot::new(&mut base)?);
    let bounds = &base.config.proxy;
    let sessions = Sessions::new(bounds.max_sessions).with_user_limit(bounds.max_sessions_per_user);
    let sessions = Arc::new(sessions);
    let kept = std::mem::take(&mut base.sessions);
    let session_sync = SessionSync::new(Arc::clone(&sessions), Arc::clone(&base.pool), base.clock, kept);
    let metrics = hezar_gateway::Metrics::default();
    metrics.register(&mut base.registry);
    let usage = Arc::new(Usage::default());
    let usage_sync = UsageSync::open(Arc::clone(&usage), Arc::clone(&base.store), base.clock).await?;
    let usage_sync = Arc::new(usage_sync);
    let diagnosis = Diagnosis {
        pool: Arc::clone(&base.pool),
        table: table.clone(),
        clock: base.clock,
        prober: Arc::clone(&prober),
        collector: Arc::clone(&collector),
        line: Arc::default(),
    };
    let line = Arc::clone(&diagnosis.line);
    let kept = std::mem::take(&mut base.dashboard);
    let dashboard = Arc::new(DashboardState::restore(kept, &base.pool, &base.config));
    let (pool, engine) = (Arc::clone(&base.pool), Arc::clone(&base.engine));
    let traces = RequestTracer::new(otlp::MOST_WAITING);
    let gateway = Gateway::new(convert::gateway(&base.config), pool, engine, base.clock, metrics.clone())
        .with_sessions(Arc::clone(&sessions))
        .with_usage(Arc::clone(&usage))
        .with_tracer(traces.0.clone())
        .with_groups(Arc::clone(&dashboard.groups))
        .with_explanation(move || line.read().clone());
    let connections = Arc::clone(gateway.connections());
    let access_log = Arc::new(AccessLogControl::new(Arc::clone(gateway.access_log())));
    access_log.replace(access_log.open(&base.config.access_log)?);
    access_log.register(&mut base.registry);
    let (pool, native) = (Arc::clone(&base.pool), base.native.clone());
    let listeners = Listeners::new(
        gateway,
        pool,
        native,
        Arc::clone(&certificates),
        api_plan.address(),
        inherited,
        draining.clone(),
    );
    let listeners = Arc::new(listeners);
    listeners.carry_out(listeners.plan(&base.config).await?)?;
    certificates.keep(&base.config);
    let (pool, clock) = (Arc::clone(&base.pool), base.clock);
    let tor = Arc::new(TorSources::new(&base.config, Arc::clone(&collector), pool, clock, Arc::clone(&base.geo)));
    let applied = AppliedConfig { config: base.config.clone(), objects: std::mem::take(&mut base.objects) };
    let parts = Parts {
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
    };
    let runtime = Arc::new(Runtime::new(reader, applied, parts));
    let tokens = Arc::new(ApiTokens::new(std::mem::take(&mut base.tokens), Arc::clone(&base.store), base.clock));
    register_pool(&mut base.registry, Arc::clone(&base.pool), table.clone());
    register_tasks(&mut base.registry);
    certificates::register(&mut base.registry, Arc::clone(&certificates));
    register_process(&mut base.registry);
    register_instance(&mut base.registry, Arc::clone(&connections), Arc::clone(&sessions));
    register_data_folder(&mut base.registry, base.config.data.clone());
    store_status::register(&mut base.registry, store_task.writer.clone(), Arc::clone(&base.store), base.clock);

    let pause = Pause::default();
    let session_sync = Arc::new(Mutex::new(session_sync));
    let drained_elsewhere = Arc::new(DrainingProcesses::new(DrainingParts {
        clock: base.clock,
        pool: Arc::clone(&base.pool),
        listeners: Arc::clone(&listeners),
        sessions: Arc::clone(&sessions),
        usage: Arc::clone(&usage),
    }));
    let handover = Arc::new(Handover::new(HandoverParts {
        data: base.config.data.clone(),
        clock: base.clock,
        store: Arc::clone(&base.releasable),
        writer: store_task.writer.clone(),
        listeners: Arc::clone(&listeners),
        api: Arc::clone(&api),
        pause: pause.clone(),
        session_sync: Arc::clone(&session_sync),
        usage: Arc::clone(&usage),
        connections: Arc::clone(&connections),
        draining: Arc::clone(&drained_elsewhere),
        stop: stop.clone(),
    }));
    if let Err(error) = takeover_tasks::wait_for_clients(predecessor.as_deref(), &drained_elsewhere).await {
        store_task.abandon().await;
        base.store.close().await;
        return Err(error);
    }
    let ending = tokio::spawn(follow_the_end(asked, stop.clone(), draining, handover.handed_over().clone()));

    let proxies = listeners.addresses();
    if let Some(address) = proxies.first() {
        tracing::info!(%address, "proxy listens");
    }
    let mut greeting = Greeting {
        proxies,
        tls: base.config.proxy.tls.is_set(),
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
    tasks.essential("store writer", store_task.fails_early(stop.clone()));
    let (node_sync, persisting) = (Arc::clone(&store_task.node_sync), stop.clone());
    let persist_pause = pause.clone();
    tasks.essential("persist", async move { persist_pause.run(&persisting, |end| node_sync.run(end)).await });
    tasks.restarting(
        "prober",
        pausing(&stop, &pause, Arc::clone(&prober), |prober, stop| async move { prober.run(stop).await }),
    );
    tasks.restarting(
        "collector",
        pausing(&stop, &pause, Arc::clone(&collector), |collector, stop| async move {
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
    let clock = base.clock;
    tasks.restarting(
        "snapshots",
        pausing(&stop, &pause, Arc::new(Arc::clone(&base.store)), move |store, stop| async move {
            snapshots::run(Arc::clone(&*store), clock, stop).await;
            Ok(())
        }),
    );
    let tor_task = TorTask::start(Arc::clone(&tor));
    let history = HistoryRecorder::new(
        Arc::clone(&base.pool),
        metrics.clone(),
        base.clock,
        Arc::clone(&base.store),
        store_task.writer.clone(),
    );
    tasks.restarting(
        "history",
        pausing(&stop, &pause, Arc::new(history), |history, stop| async move { history.run(stop).await }),
    );
    tasks.restarting(
        "geo",
        every_time(&stop, Arc::new((Arc::clone(&base.geo), Arc::clone(&base.pool))), |parts, stop| async move {
            let (geo, pool) = &*parts;
            Arc::clone(geo).follow(Arc::clone(pool), stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "certificates",
        pausing(&stop, &pause, Arc::clone(&certificates), |certificates, stop| async move {
            certificates.run(stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "tokens",
        pausing(&stop, &pause, Arc::clone(&tokens), |tokens, stop| async move {
            tokens.note_uses(stop).await;
            Ok(())
        }),
    );
    let session_sync = Arc::new((session_sync, store_task.writer.clone()));
    tasks.restarting(
        "sessions",
        pausing(&stop, &pause, session_sync, |session_sync, stop| async move {
            session_sync.0.lock().await.run(&session_sync.1, &stop).await;
            Ok(())
        }),
    );
    let site_bans = Arc::new(SiteBanSync::new(Arc::clone(&base.pool), store_task.writer.clone()));
    tasks.restarting(
        "site bans",
        pausing(&stop, &pause, Arc::clone(&site_bans), |site_bans, stop| async move {
            site_bans.run(&stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "usage",
        pausing(&stop, &pause, Arc::clone(&usage_sync), |usage_sync, stop| async move {
            usage_sync.run(&stop).await;
            Ok(())
        }),
    );
    let serving = Arc::clone(&listeners);
    tasks.essential("gateway", async move { serving.run().await });
    tasks.restarting(
        "reload",
        pausing(&stop, &pause, Arc::clone(&runtime), |runtime, stop| async move {
            let followed = async { tokio::join!(runtime.follow_hangups(&stop), runtime.follow_file(&stop)) };
            tokio::select! {
                _ = followed => {}
                () = logs::follow_reopen_signals() => {}
            }
            Ok(())
        }),
    );
    let api_address = api.carry_out(api_plan, &base.config);
    greeting.api = api_address.map(|address| {
        let token_file = base.config.api.token.is_none().then(|| base.config.data.join(token::TOKEN_FILE));
        (address, token_file)
    });
    let hub = Arc::new(EventHub::new(base.clock.now().0));
    let facts = FactSources {
        pool: Arc::clone(&base.pool),
        metrics: metrics.clone(),
        table: table.clone(),
        prober: Arc::clone(&prober),
        certificates: Arc::clone(&certificates),
        data: base.config.data.clone(),
        clock: base.clock,
        started: base.clock.now(),
    };
    let alerts = alert_tasks::start(&mut tasks, &pause, &mut base, facts, Arc::clone(&runtime), Arc::clone(&hub));
    trace_task::start(&mut tasks, &mut base, Arc::clone(&runtime), traces);
    let feed = EventFeed {
        hub: Arc::clone(&hub),
        pool: Arc::clone(&base.pool),
        metrics: metrics.clone(),
        diagnosis: diagnosis.clone(),
        table: table.clone(),
        clock: base.clock,
    };
    tasks.restarting(
        "events",
        every_time(&stop, Arc::new(feed), |feed, stop| async move {
            feed.run(stop).await;
            Ok(())
        }),
    );
    let clock = base.clock;
    let desk = ApiBackend {
        draining: Arc::clone(&drained_elsewhere),
        node_metrics: NodeMetrics::new(Arc::clone(&base.pool), Arc::clone(&connections)),
        alerts,
        connections,
        rates: RateSampler::default(),
        jobs: JobTable::new(Arc::clone(&hub), move || clock.now()),
        hub,
        pool: Arc::clone(&base.pool),
        clock: base.clock,
        started: base.clock.now(),
        table,
        bans: base.bans,
        annotations: base.annotations,
        site_bans,
        registry: Arc::new(base.registry),
        sessions,
        metrics,
        listeners,
        certificates,
        prober,
        collector,
        diagnosis,
        runtime,
        tls: base.native.tls().clone(),
        trials: Arc::new(Semaphore::new(MAX_TRIALS)),
        usage,
        usage_sync: Arc::clone(&usage_sync),
        geo: Arc::clone(&base.geo),
        tokens,
        store: Arc::clone(&base.store),
        dashboard,
        tor,
    };
    tasks.restarting(
        "api",
        every_time(&stop, Arc::new((api, Arc::new(desk))), |parts, stop| async move {
            let (api, desk) = &*parts;
            api.run(Arc::clone(desk) as Arc<dyn Control>, stop).await
        }),
    );
    let server = TakeoverServer { handover: Arc::clone(&handover), draining: drained_elsewhere, program };
    takeover_tasks::start(&mut tasks, server, Arc::clone(&base.pool), predecessor.as_deref()).await;
    // A program that reads the log as JSON is not greeted.
    if base.config.log.format == LogFormat::Pretty {
        greeting.show();
    }
    let drained = CancellationToken::new();
    let reporting = tokio::spawn(report_when_handed_over(Arc::clone(&handover), drained.clone()));
    let ended = tasks.finished().await;
    // It only waits for the disk; nothing of what follows depends on it.
    let _ = spawn_blocking(move || access_log.close()).await;
    // Tunnels went over the Tor clients while they drained.
    tor_task.end().await;
    ending.abort();
    drained.cancel();
    if handover.handed_over().is_cancelled() {
        store_task.abandon().await;
        reporting.await?;
        tracing::info!("the last connection has ended");
        return ended;
    }
    reporting.abort();
    // What the last tunnels have moved while they drained.
    usage_sync.write().await;
    let written = store_task.finish(&*base.store).await;
    ended.and(written)?;
    tracing::info!("stopped");
    Ok(())
}
