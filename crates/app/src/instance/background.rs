//! The background tasks of an instance: what writes to the store, what keeps the pool's knowledge up to date, and what serves clients.

use std::sync::Arc;

use hezar_core::Role;
use hezar_store::Writer;

use super::{
    StoreTask,
    parts::InstanceParts,
    tasks::{every_time, pausing},
};
use crate::{
    base::Base,
    follow::{FollowParts, Follower},
    history::HistoryRecorder,
    local_copy::LocalCopy,
    logs,
    store_sync::{site_bans::SiteBanSync, snapshots},
    supervise::Supervisor,
};

/// Starts the tasks that write to the store, and those that read it from time to time.
pub(super) fn start_store_tasks(
    tasks: &mut Supervisor,
    parts: &InstanceParts,
    store_task: &StoreTask,
    site_bans: &Arc<SiteBanSync>,
) {
    let stop = tasks.stop().clone();
    tasks.essential("store writer", store_task.fails_early(stop.clone()));
    let (node_sync, persisting, pause) = (Arc::clone(&store_task.node_sync), stop.clone(), parts.pause.clone());
    tasks.essential("persist", async move { pause.run(&persisting, |end| node_sync.run(end)).await });
    let (membership, stopping, pause) = (Arc::clone(&parts.membership), stop.clone(), parts.pause.clone());
    tasks.essential("members", async move {
        let beat = |end| {
            let (membership, stopping) = (Arc::clone(&membership), stopping.clone());
            async move { membership.run(&end, &stopping).await }
        };
        pause.run(&stopping, beat).await
    });
    let clock = parts.clock;
    tasks.restarting(
        "snapshots",
        pausing(&stop, &parts.pause, Arc::new(Arc::clone(&parts.store)), move |store, stop| async move {
            snapshots::run(Arc::clone(&*store), clock, stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "history",
        pausing(&stop, &parts.pause, Arc::new(history(parts, &store_task.writer)), |history, stop| async move {
            history.run(stop).await
        }),
    );
    tasks.restarting(
        "tokens",
        pausing(&stop, &parts.pause, Arc::clone(&parts.tokens), |tokens, stop| async move {
            tokens.note_uses(stop).await;
            Ok(())
        }),
    );
    let session_sync = Arc::new((Arc::clone(&parts.session_sync), store_task.writer.clone()));
    tasks.restarting(
        "sessions",
        pausing(&stop, &parts.pause, session_sync, |session_sync, stop| async move {
            session_sync.0.lock().await.run(&session_sync.1, &stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "site bans",
        pausing(&stop, &parts.pause, Arc::clone(site_bans), |site_bans, stop| async move {
            site_bans.run(&stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "usage",
        pausing(&stop, &parts.pause, Arc::clone(&parts.usage_sync), |usage_sync, stop| async move {
            usage_sync.run(&stop).await;
            Ok(())
        }),
    );
}

/// Follows what other instances change in the store that they share with this one.
pub(super) fn start_following(tasks: &mut Supervisor, parts: &InstanceParts, store_task: &StoreTask, base: &mut Base) {
    let (Some(shared), Some(start), Some(sessions)) =
        (parts.store.shared(), base.follow.take(), parts.sessions_among_gateways.clone())
    else {
        return;
    };
    let stop = tasks.stop().clone();
    let followed = FollowParts {
        shared,
        clock: parts.clock,
        roles: parts.membership.roles(),
        membership: Arc::clone(&parts.membership),
        pool: Arc::clone(&parts.pool),
        geo: Arc::clone(&base.geo),
        node_sync: Arc::clone(&store_task.node_sync),
        writer: store_task.writer.clone(),
        prober: Arc::clone(&parts.prober),
        table: parts.collector.table(),
        sessions,
        bans: base.bans.clone(),
        annotations: base.annotations.clone(),
        dashboard: Arc::clone(&parts.dashboard),
        usage_sync: Arc::clone(&parts.usage_sync),
        runtime: Arc::clone(&parts.runtime),
        tokens: Arc::clone(&parts.tokens),
    };
    if parts.membership.roles().has(Role::Gateway) {
        let copy = LocalCopy::new(base.config.data.clone(), Arc::clone(&parts.store), Arc::clone(&parts.pool));
        tasks.restarting(
            "local copy",
            pausing(&stop, &parts.pause, Arc::new(copy), |copy, stop| async move {
                copy.run(&stop).await;
                Ok(())
            }),
        );
    }
    let follower = Arc::new(Follower::new(followed, start, &mut base.registry));
    tasks.restarting(
        "changes",
        pausing(&stop, &parts.pause, follower, |follower, stop| async move {
            follower.run(&stop).await;
            Ok(())
        }),
    );
}

fn history(parts: &InstanceParts, writer: &Writer) -> HistoryRecorder {
    let (pool, store) = (Arc::clone(&parts.pool), Arc::clone(&parts.store));
    HistoryRecorder::new(pool, parts.metrics.clone(), parts.clock, store, writer.clone())
}

/// Starts the tasks that learn about nodes: probes, sources, addresses, and why nothing works.
pub(super) fn start_pool_tasks(tasks: &mut Supervisor, parts: &InstanceParts, base: &Base) {
    let stop = tasks.stop().clone();
    tasks.restarting(
        "prober",
        pausing(&stop, &parts.pause, Arc::clone(&parts.prober), |prober, stop| async move { prober.run(stop).await }),
    );
    tasks.restarting(
        "collector",
        pausing(&stop, &parts.pause, Arc::clone(&parts.collector), |collector, stop| async move {
            collector.run(&stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "feeds of others",
        pausing(&stop, &parts.pause, Arc::clone(&parts.collector), |collector, stop| async move {
            collector.follow_feeds(&stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "diagnosis",
        every_time(&stop, Arc::new(parts.diagnosis.clone()), |diagnosis, stop| async move {
            diagnosis.watch(stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "geo",
        every_time(&stop, Arc::new((Arc::clone(&base.geo), Arc::clone(&base.pool))), |parts, stop| async move {
            let (geo, pool) = &*parts;
            Arc::clone(geo).follow(Arc::clone(pool), stop).await;
            Ok(())
        }),
    );
}

/// Starts the tasks that serve clients, and those that follow what is configured for it.
pub(super) fn start_serving_tasks(tasks: &mut Supervisor, parts: &InstanceParts) {
    let stop = tasks.stop().clone();
    let serving = Arc::clone(&parts.listeners);
    tasks.essential("gateway", async move { serving.run().await });
    if let Some(clash) = &parts.clash {
        let grace = parts.runtime.applied().config.proxy.grace;
        tasks.restarting(
            "clash cores",
            every_time(&stop, Arc::new((Arc::clone(clash), parts.metrics.clone())), move |parts, stop| async move {
                parts.0.run(&stop, grace, &parts.1).await;
                Ok(())
            }),
        );
    }
    tasks.restarting(
        "certificates",
        pausing(&stop, &parts.pause, Arc::clone(&parts.certificates), |certificates, stop| async move {
            certificates.run(stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "reload",
        pausing(&stop, &parts.pause, Arc::clone(&parts.runtime), |runtime, stop| async move {
            let followed = async { tokio::join!(runtime.follow_hangups(&stop), runtime.follow_file(&stop)) };
            tokio::select! {
                _ = followed => {}
                () = logs::follow_reopen_signals() => {}
            }
            Ok(())
        }),
    );
}
