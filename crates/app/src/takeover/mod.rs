//! An instance is replaced by a new process without a cut: listening sockets, store and sessions move, tunnels end where they are.

mod channel;
mod draining;
mod endpoint;
mod handover;
mod messages;
mod predecessor;
mod program;
mod reporter;
mod server;
mod successor;
mod upgrade;

pub(crate) use channel::Channel;
pub(crate) use draining::{DrainingParts, DrainingProcess, DrainingProcesses};
pub(crate) use endpoint::connect;
pub(crate) use handover::{Handover, HandoverParts};
pub(crate) use messages::{Request, UpgradeProgress, UpgradeRequest};
pub(crate) use predecessor::Predecessor;
pub(crate) use program::Program;
pub(crate) use reporter::Reporter;
pub(crate) use server::TakeoverServer;
