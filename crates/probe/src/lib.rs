//! Checks every node again and again, and reports what it saw to the pool.
//!
//! One task decides ([`Prober`]); the decisions themselves are free of I/O and clocks: [`Schedule`] says who is next,
//! [`Guard`] says whether a failure may count. A running probe is a task of its own, an idle node is none.

mod budget;
mod canary;
mod check;
mod config;
mod control;
mod demand;
mod guard;
mod http_node;
mod metrics;
mod pace;
mod prober;
mod progress;
mod runner;
mod schedule;
mod servers;
mod suspicion;
mod trace;
mod verdict;

pub use canary::{Canary, CanaryBody, CanaryPage, HttpCanary, Sight, TAMPERING};
pub use check::{Check, ExitLookup, Geo, HttpCheck, TraceLookup};
pub use config::{BodyRule, ConfigError, GuardConfig, ProbeConfig};
pub use demand::{ProbeAnswer, ProbeAnswers, ProbeNowError, ProbeResult};
pub use guard::{Control, Doubt, Guard, GuardState, Outage, Ruling};
pub use http_node::HttpNodeChecks;
pub use metrics::Metrics;
pub use pace::Pace;
pub use prober::{Checks, Dialers, Prober};
pub use progress::Progress;
pub use schedule::{Ended, Schedule, Subject};
pub use servers::Answer;

#[cfg(test)]
mod tests;
