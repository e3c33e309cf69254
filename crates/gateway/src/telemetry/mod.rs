//! What the gateway tells of its work: metrics, byte counts while they flow, and one log line for each request.

use std::{net::SocketAddr, sync::Arc};

use hezar_engine::Clock;

use crate::{Connections, LogPrivacy, Refusal, Usage, access::LogLimit, config::Policy};

mod access_log;
mod access_record;
mod inbound_kind;
mod labels;
mod listener_metrics;
mod metrics;
mod totals;

pub(crate) use access_log::AccessLogEntry;
pub use access_record::{AccessLog, AccessRecord, AccessSink};
pub(crate) use inbound_kind::InboundKind;
pub(crate) use listener_metrics::{GaugeGuard, ListenerMetrics};
pub use metrics::Metrics;
pub use totals::{RecentError, Traffic};

/// Where one listener tells what happens at it.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) metrics: ListenerMetrics,
    /// Everything that is alive.
    pub(crate) connections: Arc<Connections>,
    /// What users have moved.
    pub(crate) usage: Arc<Usage>,
    pub(crate) clock: Clock,
    /// How often the log is told the same.
    pub(crate) log: Arc<LogLimit>,
    /// Where every request is recorded.
    pub(crate) access_log: Arc<AccessLog>,
    /// The settings of the listener.
    pub(crate) policy: Arc<Policy>,
}

impl Telemetry {
    /// The name of the listener.
    pub(crate) fn listener(&self) -> &str {
        self.metrics.listener()
    }

    /// What the logs do not tell.
    pub(crate) fn privacy(&self) -> LogPrivacy {
        self.policy.load().log_privacy
    }

    /// Notes a connection that ended before it had made a request.
    pub(crate) fn reject(&self, client: SocketAddr, refusal: &Refusal) {
        self.metrics.rejected(refusal.code());
        tracing::debug!(%client, code = refusal.code(), reason = %refusal, "connection rejected");
    }

    /// Tells the log how many lines it was spared since it was last told.
    pub(crate) fn log_left_out(&self) {
        for (code, left_out) in self.log.take_left_out() {
            tracing::info!(listener = %self.listener(), code, left_out, "more requests ended so; their lines were left out");
        }
    }
}
