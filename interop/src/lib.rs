//! Hezar against real peers: one abstract description of a server, rendered for each peer, and one suite for each row.
//!
//! The peers run on loopback, on ports from the operating system; the targets are in this process. Our side is the whole
//! way of a user: a share link, the parser, the pool and the running gateway. `cargo xtask peers install` gets the peers.

mod board;
mod certificate;
mod core_protocol;
mod core_servers;
mod cores;
mod datagrams;
mod debian_root;
pub mod harness;
mod link;
mod pattern;
mod peer;
mod process;
mod quota;
mod route;
mod row;
mod rows;
mod secrets;
mod site;
mod soak;
mod suite;

pub use board::run;
pub use debian_root::{debian_archive, unpack_debian};
pub use pattern::{Damage, LARGE, pattern};
pub use peer::Peer;
pub use route::{Association, ProxyClient};
pub use rows::Table;
pub use soak::soak;
