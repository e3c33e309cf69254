//! The layers that protect bytes between us and a node.

pub(crate) mod reality;
pub(crate) mod tls;

pub use tls::TlsClients;
