//! The tasks that find troubles and tell of them.

use std::sync::Arc;

use hezar_api::EventHub;

use super::tasks::{every_time, pausing};
use crate::{
    alerts::{self, AlertParts, AlertWatch, FactSources},
    base::Base,
    host::host_name,
    pause::Pause,
    runtime::Runtime,
    supervise::Supervisor,
};

/// Starts the tasks, and registers what they count.
pub(super) fn start(
    tasks: &mut Supervisor,
    pause: &Pause,
    base: &mut Base,
    facts: FactSources,
    runtime: Arc<Runtime>,
    hub: Arc<EventHub>,
) -> Arc<AlertWatch> {
    let stop = tasks.stop().clone();
    let (engine, tls) = (Arc::clone(&base.engine), base.native.tls().clone());
    let parts = AlertParts { runtime, engine, tls, hub, host: host_name() };
    let (alerts, sender) = alerts::build(facts, parts, &mut base.registry);
    tasks.restarting(
        "alerts",
        // While another process has taken over, this one's view of the pool grows old.
        pausing(&stop, pause, Arc::clone(&alerts), |alerts, stop| async move {
            alerts.run(stop).await;
            Ok(())
        }),
    );
    tasks.restarting(
        "alert messages",
        every_time(&stop, sender, |sender, stop| async move {
            sender.run(stop).await;
            Ok(())
        }),
    );
    alerts
}
