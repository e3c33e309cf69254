//! The task that runs the cores. It outlives the other tasks: tunnels go over the cores while they drain.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::Cores;
use crate::supervise;

/// The pause before the task is started again after a panic.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the first probes have to show which nodes cannot be dialled, before it is said which cores are missing.
const FIRST_PROBES: Duration = Duration::from_secs(120);

/// The running cores.
pub(crate) struct CoresTask {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl CoresTask {
    pub(crate) fn start(cores: Arc<Cores>) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = async move {
            let saying = async {
                sleep(FIRST_PROBES).await;
                say_what_is_missing(&cores);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = keep_running(&cores, &stopped) => {}
                () = saying => {}
            }
        };
        Self { stop, task: tokio::spawn(supervise::named("cores", task)) }
    }

    /// Ends the cores.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        // A panic in it was logged by its hook; the cores end when this process does.
        let _ = self.task.await;
    }
}

async fn keep_running(cores: &Cores, stop: &CancellationToken) {
    while AssertUnwindSafe(cores.sidecar.run(stop)).catch_unwind().await.is_err() {
        stop.run_until_cancelled(sleep(PAUSE)).await;
    }
}

fn say_what_is_missing(cores: &Cores) {
    for (core, nodes) in cores.missing() {
        let core = core.as_str();
        tracing::info!(core, nodes, "these nodes cannot be dialled without an installed {core}: docs/cores.md");
    }
}
