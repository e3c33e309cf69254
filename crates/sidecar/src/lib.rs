//! Proxy cores of others as child processes: their start and end, their control interfaces, and dialers over them.
//!
//! A core is a program such as mihomo or Xray. This crate knows neither the pool nor the store.

mod controller;
mod current;
mod datagram;
mod dialer;
mod engine;
mod error;
mod follow;
mod loopback;
mod mihomo;
mod process;
mod run;
mod settings;
mod sidecar;
mod slots;
mod stream;
#[cfg(test)]
mod testing;
mod xray;

pub use controller::{
    Controller, ControllerAddress, ControllerError, CoreChecks, CoreConnections, CoreProxy, CoreVersion, RefusedProxy,
};
pub use error::CoreError;
pub use process::{CoreCommand, CoreCounters, CoreHome, CoreSetup, CoreState, CoreSupervisor};
pub use settings::{CoreChoice, CoreName, SidecarSettings};
pub use sidecar::{CoreStatus, Sidecar};
