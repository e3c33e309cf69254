//! Bounds what the connections of all nodes hold together: idle connections, and bytes that servers send before they are read.

mod idle;
#[cfg(test)]
mod tests;
mod windows;

use std::sync::Arc;

pub(crate) use self::{
    idle::{IdleConnections, IdleTicket},
    windows::{WindowBudget, WindowShare},
};

/// The most idle connections of all nodes together; beyond it the one that was unused for longest is closed.
const MAX_IDLE: usize = 1024;
/// The most bytes that the servers of all shared HTTP/2 and HTTP/3 connections together may send before we have taken
/// them.
const MAX_WINDOWS: u64 = 256 << 20;

/// The bounds that the dialers of one engine share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionBudget {
    /// The bound of idle connections.
    pub(crate) idle: Arc<IdleConnections>,
    /// The bound of flow-control windows.
    pub(crate) windows: Arc<WindowBudget>,
}

impl Default for ConnectionBudget {
    fn default() -> Self {
        Self { idle: Arc::new(IdleConnections::new(MAX_IDLE)), windows: Arc::new(WindowBudget::new(MAX_WINDOWS)) }
    }
}
