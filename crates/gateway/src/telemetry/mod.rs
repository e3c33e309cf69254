//! What the gateway tells of its work: metrics, byte counts while they flow, and one log line for each request.

mod access_log;
mod meter;
mod metrics;

pub(crate) use access_log::{AccessLogEntry, InboundKind};
pub(crate) use meter::{Counts, Meter, Metered};
pub(crate) use metrics::GaugeGuard;
pub use metrics::{Metrics, RecentError, Traffic};
