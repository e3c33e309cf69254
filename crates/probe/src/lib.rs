//! Checks every node again and again, and reports what it saw to the pool.
//!
//! One task decides ([`Prober`]); the decisions themselves are free of I/O and clocks: [`Schedule`] says who is next,
//! [`Guard`] says whether a failure may count. A running probe is a task of its own, an idle node is none.

mod canary;
mod check;
mod config;
mod context;
mod control;
mod demand;
mod guard;
mod host_limits;
mod http_node;
mod intervals;
mod judge;
mod metrics;
mod node_check;
mod ownership;
mod probe_error;
mod probe_log;
mod prober;
mod progress;
mod runner;
mod schedule;
mod tamper_tracker;
mod token_bucket;
mod trace;

pub use canary::{Canary, CanaryBody, CanaryPage, CanaryResult, HttpCanary, TAMPERING};
pub use check::{Check, ExitLookup, Geo, HttpCheck, TraceLookup};
pub use config::{BodyRule, GuardConfig, ProbeConfig, ProbeConfigError};
pub use context::Checks;
pub use demand::{ProbeAnswer, ProbeAnswers, ProbeNowError, ProbeResult};
pub use guard::{ControlResult, Decision, FailureEvidence, Guard, GuardState, Outage};
pub use host_limits::HostResponse;
pub use http_node::HttpNodeChecks;
pub use intervals::{Intervals, NodeHealth};
pub use judge::Judge;
pub use metrics::ProbeMetrics;
pub use node_check::{NodeCheck, NodeCheckError};
pub use ownership::Ownership;
pub use probe_log::{LoggedProbe, ProbeLog};
pub use prober::Prober;
pub use progress::Progress;
pub use schedule::{ProbeEnd, Schedule};

#[cfg(test)]
mod tests;
