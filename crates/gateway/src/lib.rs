//! The one port that clients use: HTTP and SOCKS in, a healthy node out.
//!
//! [`Gateway::serve`] accepts connections, finds out the protocol by the first byte, reads who asks for which target,
//! and sends each request over a node of its own, with failover. Nothing is ever dialled without a leased node.

mod access;
mod config;
mod connections;
mod context;
mod error;
mod failover;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gateway;
mod inbound;
mod listener;
mod relay;
mod replay;
mod site;
mod telemetry;
mod tunnel;
mod user;

pub use access::{ParseSessionIdError, Session, SessionId, SessionNameRef, Sessions, UserOptions, read_name};
pub use config::{ConfigError, GatewayConfig};
pub use connections::{ConnectionInfo, Connections};
pub use error::{AttemptError, OptionError, Refusal};
pub use gateway::{Gateway, ServeError};
pub use site::{site_key, site_name};
pub use telemetry::{Metrics, RecentError, Traffic};
pub use user::{Limits, Quota, User};
