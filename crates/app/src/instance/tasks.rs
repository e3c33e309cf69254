//! How the background tasks of an instance run: until the end, with rests, and past a takeover.

use std::{pin::Pin, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    pause::Pause,
    service_manager,
    takeover::{Handover, Reporter},
};

/// Passes on that the program is asked to end. After another process has taken over, what is open goes on until then.
pub(super) async fn follow_the_end(
    asked: CancellationToken,
    stop: CancellationToken,
    draining: CancellationToken,
    handed_over: CancellationToken,
) {
    tokio::select! {
        () = asked.cancelled() => {}
        () = stop.cancelled() => {}
    }
    if handed_over.is_cancelled() {
        asked.cancelled().await;
    } else {
        service_manager::stopping();
    }
    tracing::info!("draining");
    stop.cancel();
    draining.cancel();
}

/// Reports to the process that has taken over, if one does, until `drained`.
pub(super) async fn report_when_handed_over(handover: Arc<Handover>, drained: CancellationToken) {
    tokio::select! {
        biased;
        () = handover.handed_over().cancelled() => Reporter::new(handover).run(drained).await,
        () = drained.cancelled() => {}
    }
}

/// As [`every_time`], for a task that rests while another process takes over.
pub(super) fn pausing<P, T>(
    stop: &CancellationToken,
    pause: &Pause,
    parts: Arc<P>,
    task: impl Fn(Arc<P>, CancellationToken) -> T + Clone + Send + Sync + 'static,
) -> impl Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync + 'static
where
    P: Send + Sync + 'static,
    T: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (stop, pause) = (stop.clone(), pause.clone());
    move || {
        let (stop, pause, parts, task) = (stop.clone(), pause.clone(), Arc::clone(&parts), task.clone());
        Box::pin(async move { pause.run(&stop, |end| task(Arc::clone(&parts), end)).await })
    }
}

/// What [`Supervisor::restarting`] takes: a task over parts that outlive it.
pub(super) fn every_time<P, T>(
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
