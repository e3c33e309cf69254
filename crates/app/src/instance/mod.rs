//! One running instance: builds every part, connects them, and stops them in order.

mod alert_tasks;
mod background;
mod figures;
mod interface;
mod parts;
mod store_task;
mod takeover_tasks;
mod tasks;
mod trace_task;

use std::sync::Arc;

use hezar_gateway::RequestTracer;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{
    base::Base,
    config::{ConfigReader, LogFormat},
    cores::CoresTask,
    greeting::Greeting,
    inherited_sockets::InheritedSockets,
    logs::LogControl,
    otlp,
    runtime::api_server::ApiPlan,
    store_sync::site_bans::SiteBanSync,
    supervise::{Supervisor, TaskMetrics},
    takeover::{DrainingParts, DrainingProcesses, Handover, HandoverParts, Predecessor, Program, TakeoverServer},
    token,
    tor::TorTask,
};
use parts::{InstanceParts, Surroundings};
pub(crate) use store_task::StoreTask;
use tasks::{follow_the_end, report_when_handed_over};

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
    let Origin { program, inherited, predecessor } = origin;
    // Ends everything but what is open at the gateway, which ends with `draining`.
    let (stop, draining) = (CancellationToken::new(), CancellationToken::new());
    let traces = RequestTracer::new(otlp::MOST_WAITING);
    let surroundings = Surroundings { reader, log, inherited, tracer: traces.0.clone(), draining: draining.clone() };
    let (parts, store_task, api_plan) = InstanceParts::build(&mut base, surroundings).await?;
    let drained_elsewhere = Arc::new(draining_processes(&parts));
    let handover = Arc::new(handover(&base, &parts, &store_task, &drained_elsewhere, &stop));
    if let Err(error) = takeover_tasks::wait_for_clients(predecessor.as_deref(), &drained_elsewhere).await {
        store_task.abandon().await;
        base.store.close().await;
        return Err(error);
    }
    let ending = tokio::spawn(follow_the_end(asked, stop.clone(), draining, handover.handed_over().clone()));

    let task_metrics = TaskMetrics::default();
    task_metrics.register(&mut base.registry);
    task_metrics.watch_panics();
    let mut tasks = Supervisor::new(stop.clone(), task_metrics);
    let greeting = open_api(&base, &parts, api_plan);
    let site_bans = Arc::new(SiteBanSync::new(Arc::clone(&parts.pool), store_task.writer.clone()));
    background::start_store_tasks(&mut tasks, &parts, &store_task, &site_bans);
    background::start_following(&mut tasks, &parts, &store_task, &mut base);
    background::start_pool_tasks(&mut tasks, &parts, &base);
    background::start_serving_tasks(&mut tasks, &parts);
    let tor_task = TorTask::start(Arc::clone(&parts.tor));
    let cores_task = CoresTask::start(Arc::clone(&base.cores));
    // A program that reads the log as JSON is not greeted.
    let is_greeted = base.config.log.format == LogFormat::Pretty;
    interface::start(&mut tasks, base, &parts, site_bans, Arc::clone(&drained_elsewhere), traces);
    let server = TakeoverServer { handover: Arc::clone(&handover), draining: drained_elsewhere, program };
    takeover_tasks::start(&mut tasks, server, Arc::clone(&parts.pool), predecessor.as_deref()).await;
    if is_greeted {
        greeting.show();
    }

    let drained = CancellationToken::new();
    let reporting = tokio::spawn(report_when_handed_over(Arc::clone(&handover), drained.clone()));
    let ended = tasks.finished().await;
    let access_log = Arc::clone(&parts.access_log);
    // It only waits for the disk; nothing of what follows depends on it.
    let _ = spawn_blocking(move || access_log.close()).await;
    // Tunnels went over the Tor clients and the cores while they drained.
    tor_task.end().await;
    cores_task.end().await;
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
    parts.usage_sync.write().await;
    let written = store_task.finish(&*parts.store).await;
    ended.and(written)?;
    tracing::info!("stopped");
    Ok(())
}

/// Where the processes are listed from which this one has taken over.
fn draining_processes(parts: &InstanceParts) -> DrainingProcesses {
    DrainingProcesses::new(DrainingParts {
        clock: parts.clock,
        pool: Arc::clone(&parts.pool),
        listeners: Arc::clone(&parts.listeners),
        sessions: Arc::clone(&parts.sessions),
        usage: Arc::clone(&parts.usage),
    })
}

/// What hands this instance over to another process.
fn handover(
    base: &Base,
    parts: &InstanceParts,
    store_task: &StoreTask,
    draining: &Arc<DrainingProcesses>,
    stop: &CancellationToken,
) -> Handover {
    Handover::new(HandoverParts {
        data: base.config.data.clone(),
        clock: parts.clock,
        store: Arc::clone(&base.releasable),
        writer: store_task.writer.clone(),
        listeners: Arc::clone(&parts.listeners),
        api: Arc::clone(&parts.api),
        pause: parts.pause.clone(),
        session_sync: Arc::clone(&parts.session_sync),
        usage: Arc::clone(&parts.usage),
        connections: Arc::clone(&parts.connections),
        draining: Arc::clone(draining),
        stop: stop.clone(),
    })
}

/// Lets clients of the API in as soon as its task runs, and returns what a person is told at the start.
fn open_api(base: &Base, parts: &InstanceParts, plan: ApiPlan) -> Greeting {
    let proxies = parts.listeners.addresses();
    if let Some(address) = proxies.first() {
        tracing::info!(%address, "proxy listens");
    }
    let api = parts.api.carry_out(plan, &base.config).map(|address| {
        let token_file = base.config.api.token.is_none().then(|| base.config.data.join(token::TOKEN_FILE));
        (address, token_file)
    });
    Greeting {
        proxies,
        tls: base.config.proxy.tls.is_set(),
        api,
        nodes: base.pool.snapshot().counts(),
        sources: base.config.sources.iter().filter(|source| source.enabled).count(),
        config: base.config.file.clone(),
        demo: base.demo,
    }
}
