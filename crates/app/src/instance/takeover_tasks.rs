//! How an instance begins in the place of another one, and lets another one begin in its place.

use std::sync::Arc;

use super::tasks::every_time;
use crate::{
    nodes::Nodes,
    service_manager,
    supervise::Supervisor,
    takeover::{DrainingProcesses, Predecessor, TakeoverServer},
};

/// Waits until the instance before leaves its clients to this one, which is ready to serve them.
///
/// # Errors
/// It serves them itself.
pub(super) async fn wait_for_clients(
    predecessor: Option<&Predecessor>,
    draining: &DrainingProcesses,
) -> anyhow::Result<()> {
    if let Some(predecessor) = predecessor {
        draining.take_news(predecessor.ready().await?);
    }
    Ok(())
}

/// Tells everybody that this instance serves, and lets another one take over.
pub(super) async fn start(
    tasks: &mut Supervisor,
    server: TakeoverServer,
    pool: Arc<Nodes>,
    predecessor: Option<&Predecessor>,
) {
    let stop = tasks.stop().clone();
    let watched = Arc::new((pool, server.handover.connections()));
    tasks.restarting(
        "takeover",
        every_time(&stop, Arc::new(server), |server, stop| async move {
            server.run(stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "service manager",
        every_time(&stop, watched, |watched, stop| async move {
            let (pool, connections) = &*watched;
            service_manager::follow(Arc::clone(pool), Arc::clone(connections), stop).await;
            Ok(())
        }),
    );
    service_manager::ready(predecessor.is_some());
    if let Some(predecessor) = predecessor {
        predecessor.serving().await;
    }
}
