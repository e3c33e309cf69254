//! The task that sends traces.

use std::sync::Arc;

use hezar_engine::AddressPolicy;
use hezar_gateway::{RequestSpan, RequestTracer};
use tokio::sync::mpsc;

use super::tasks::every_time;
use crate::{base::Base, otlp::TraceExporter, runtime::Runtime, supervise::Supervisor};

/// Starts the task, and registers what it counts.
pub(super) fn start(
    tasks: &mut Supervisor,
    base: &mut Base,
    runtime: Arc<Runtime>,
    traces: (RequestTracer, mpsc::Receiver<RequestSpan>),
) {
    let stop = tasks.stop().clone();
    // A collector mostly runs in the own network.
    let (direct, tls) = (base.engine.direct(AddressPolicy::allowing_private(true)), base.native.tls().clone());
    let exporter = TraceExporter::new(runtime, traces, direct, tls, &mut base.registry);
    tasks.restarting(
        "traces",
        every_time(&stop, Arc::new(exporter), |exporter, stop| async move {
            exporter.run(stop).await;
            Ok(())
        }),
    );
}
