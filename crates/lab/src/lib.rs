//! A loopback world of real upstream proxy servers with faults, and an origin that is reachable only through them.
//!
//! Every server speaks its real protocol on its own port, each on its own address of 127.0.0.0/8 where the system allows
//! that. They open tunnels to the in-world names alone ([`origin`](DEMO_HOST) and friends), so that nothing ever leaves
//! the machine. Tests, benchmarks and `hezar run --demo` use it.

mod address;
#[cfg(unix)]
pub mod cluster;
mod config;
mod distance;
mod fault;
mod fault_schedule;
mod ledger;
mod limited;
mod link;
mod listener_socket;
mod origin;
#[cfg(unix)]
pub mod postgres;
mod secure;
mod server;
mod silent;
mod targets;
mod throttled;
mod upstream;
mod world;

pub use config::{Kind, UpstreamConfig, WorldConfig};
pub use distance::{Distance, Distances, Path};
pub use fault::Fault;
pub use fault_schedule::{FaultChange, FaultChanges, FaultSchedule};
pub use origin::{BEACON_HOST, CLOSED_HOST, DEMO_HOST, ECHO_HOST, GREET_HOST, LEDGER_HOST, MISSING_HOST};
pub use secure::SECURE_HOST;
pub use silent::SilentListeners;
pub use targets::hosts;
pub use upstream::UpstreamCounts;
pub use world::{LabError, LabNode, World};

#[cfg(test)]
mod tests;
