//! One life of a core that nodes want: its supervisor, and a driver that follows what it does.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{CoreHome, CoreSetup, CoreState, CoreSupervisor, current::Core};

/// Tells one kind of core what its slots hold.
pub(crate) trait CoreDriver: Send {
    /// Tells one start of the core, which runs as this process, every change, for ever. Dropped when the core's state changes.
    fn serve(&mut self, start: u64, pid: u32) -> impl Future<Output = ()> + Send;
}

/// Runs a core until nobody has used it for a while.
pub(crate) async fn run_driven<S: CoreSetup>(
    core: &Core,
    setup: Arc<S>,
    home: Arc<CoreHome>,
    driver: &mut impl CoreDriver,
    stop: &CancellationToken,
) {
    let (start, name) = (&core.start, setup.name());
    let supervisor = CoreSupervisor::new(setup, start.launcher.clone(), home, start.memory_bytes)
        .counting(Arc::clone(&start.counters));
    let following = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = follow(core, supervisor.state(), driver) => {}
            () = core.idle() => tracing::info!(core = name, "the core is ended: no node has needed it for a while"),
        }
        stop.cancel();
    };
    tokio::join!(supervisor.run(stop), following);
}

/// Follows the core's state, for ever.
async fn follow(core: &Core, mut state: watch::Receiver<CoreState>, driver: &mut impl CoreDriver) {
    let mut has_served = false;
    loop {
        let now = state.borrow_and_update().clone();
        match now {
            CoreState::Up { start, pid } => {
                has_served = true;
                tokio::select! {
                    changed = state.changed() => if changed.is_err() { return },
                    () = driver.serve(start, pid) => {}
                }
            }
            CoreState::Starting | CoreState::Down { .. } => {
                core.slots.set_down();
                if let CoreState::Down { reason } = now {
                    core.start.set_trouble(Some(reason));
                    if !std::mem::take(&mut has_served) {
                        // Another version of the core may refuse what the one before has taken.
                        core.slots.forget_proofs();
                    }
                }
                if state.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}
