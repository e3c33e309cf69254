//! Encrypted inbounds of this program and of peers, with the same client and the same way out for all of them.

mod kind;
mod server;
mod strangers;

pub use kind::{InboundKind, Shown};
pub use server::{InboundArena, ServedBy, Server};
pub use strangers::Strangers;
