//! The tasks that tell of the instance: the API with its events, alerts and traces.

use std::sync::Arc;

use hezar_api::{Control, EventHub, JobTable};
use hezar_gateway::{RequestSpan, RequestTracer};
use tokio::sync::{Semaphore, mpsc};

use super::{alert_tasks, parts::InstanceParts, tasks::every_time, trace_task};
use crate::{
    alerts::FactSources,
    api::{ApiBackend, connections::RateSampler, events::EventFeed},
    base::Base,
    feed::NodeFeed,
    metrics::NodeMetrics,
    store_sync::site_bans::SiteBanSync,
    supervise::Supervisor,
    takeover::DrainingProcesses,
};

/// Requests of `POST /api/v1/test` that are under way at a time.
const MAX_TRIALS: usize = 4;

/// Starts the tasks. What they count is registered before the API can be asked for it.
pub(super) fn start(
    tasks: &mut Supervisor,
    mut base: Base,
    parts: &InstanceParts,
    site_bans: Arc<SiteBanSync>,
    draining: Arc<DrainingProcesses>,
    traces: (RequestTracer, mpsc::Receiver<RequestSpan>),
) {
    let stop = tasks.stop().clone();
    let hub = Arc::new(EventHub::new(base.clock.now().0));
    let facts = facts(&base, parts);
    let alerts =
        alert_tasks::start(tasks, &parts.pause, &mut base, facts, Arc::clone(&parts.runtime), Arc::clone(&hub));
    trace_task::start(tasks, &mut base, Arc::clone(&parts.runtime), traces);
    let feed = EventFeed {
        hub: Arc::clone(&hub),
        pool: Arc::clone(&parts.pool),
        metrics: parts.metrics.clone(),
        diagnosis: parts.diagnosis.clone(),
        table: parts.collector.table(),
        clock: parts.clock,
    };
    tasks.restarting(
        "events",
        every_time(&stop, Arc::new(feed), |feed, stop| async move {
            feed.run(stop).await;
            Ok(())
        }),
    );
    let upstreams = parts.collector.upstreams();
    let feed = NodeFeed::new(upstreams.own_name(), Arc::clone(&parts.pool), parts.clock, upstreams);
    let feed = Arc::new(feed);
    tasks.restarting(
        "feed",
        every_time(&stop, Arc::clone(&feed), |feed, stop| async move {
            feed.run(stop).await;
            Ok(())
        }),
    );
    let clock = parts.clock;
    let backend = ApiBackend {
        membership: Arc::clone(&parts.membership),
        draining,
        node_metrics: NodeMetrics::new(Arc::clone(&parts.pool), Arc::clone(&parts.connections)),
        alerts,
        connections: Arc::clone(&parts.connections),
        rates: RateSampler::default(),
        jobs: JobTable::new(Arc::clone(&hub), move || clock.now()),
        hub,
        pool: Arc::clone(&parts.pool),
        clock,
        started: clock.now(),
        table: parts.collector.table(),
        bans: base.bans,
        annotations: base.annotations,
        site_bans,
        registry: Arc::new(base.registry),
        sessions: Arc::clone(&parts.sessions),
        metrics: parts.metrics.clone(),
        listeners: Arc::clone(&parts.listeners),
        certificates: Arc::clone(&parts.certificates),
        prober: Arc::clone(&parts.prober),
        collector: Arc::clone(&parts.collector),
        diagnosis: parts.diagnosis.clone(),
        runtime: Arc::clone(&parts.runtime),
        tls: base.native.tls().clone(),
        trials: Arc::new(Semaphore::new(MAX_TRIALS)),
        usage: Arc::clone(&parts.usage),
        usage_sync: Arc::clone(&parts.usage_sync),
        geo: base.geo,
        tokens: Arc::clone(&parts.tokens),
        store: base.store,
        dashboard: Arc::clone(&parts.dashboard),
        tor: Arc::clone(&parts.tor),
        clash: parts.clash.clone(),
        cores: Arc::clone(&base.cores),
        feed,
    };
    tasks.restarting(
        "api",
        every_time(&stop, Arc::new((Arc::clone(&parts.api), Arc::new(backend))), |parts, stop| async move {
            let (api, backend) = &*parts;
            api.run(Arc::clone(backend) as Arc<dyn Control>, stop).await
        }),
    );
}

/// What alerts look at.
fn facts(base: &Base, parts: &InstanceParts) -> FactSources {
    FactSources {
        pool: Arc::clone(&parts.pool),
        metrics: parts.metrics.clone(),
        table: parts.collector.table(),
        prober: Arc::clone(&parts.prober),
        certificates: Arc::clone(&parts.certificates),
        data: base.config.data.clone(),
        clock: parts.clock,
        started: parts.clock.now(),
    }
}
