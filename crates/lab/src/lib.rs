//! A loopback world of real upstream proxy servers with faults, and an origin that is reachable only through them.
//!
//! Every server speaks its real protocol on its own port, each on its own address of 127.0.0.0/8 where the system allows
//! that. They open tunnels to the in-world names alone ([`origin`](DEMO_HOST) and friends), so that nothing ever leaves
//! the machine. Tests, benchmarks and `hezar run --demo` use it.

mod address;
mod config;
mod distance;
mod fault;
mod gate;
mod ledger;
mod limited;
mod link;
mod mute;
mod origin;
mod secure;
mod server;
mod steady;
mod throttled;
mod upstream;
mod weather;
mod world;

pub use config::{Kind, UpstreamConfig, WorldConfig};
pub use distance::{Distance, Distances, Path};
pub use fault::Fault;
pub use gate::hosts;
pub use mute::MuteFarm;
pub use origin::{BEACON_HOST, CLOSED_HOST, DEMO_HOST, ECHO_HOST, GREET_HOST, LEDGER_HOST, MISSING_HOST};
pub use secure::SECURE_HOST;
pub use upstream::UpstreamCounts;
pub use weather::{Turn, Turns, Weather};
pub use world::{LabError, LabNode, World};

#[cfg(test)]
mod tests;
