//! The one port that clients use: HTTP and SOCKS in, a healthy node out.
//!
//! [`Gateway::serve`] accepts connections, finds out the protocol by the first byte, reads who asks for which target,
//! and sends each request over a node of its own, with failover. Nothing is ever dialled without a leased node.

mod access;
mod auth;
mod blame;
mod config;
mod course;
mod courtesy;
pub mod doors;
mod explanation;
mod flight;
mod gateway;
mod inbound;
mod journal;
mod limits;
mod meter;
mod metrics;
mod mutes;
mod options;
mod pace;
mod reached;
mod refusal;
mod relay;
mod sessions;
mod site;
mod tunnel;

pub use auth::read_name;
pub use config::{ConfigError, GatewayConfig, User};
pub use course::Fail;
pub use gateway::{Gateway, ServeError};
pub use limits::Limits;
pub use metrics::{Metrics, Traffic, Trouble};
pub use options::{OptionError, UserOptions};
pub use refusal::Refusal;
pub use sessions::{Session, SessionKey, Sessions};
pub use site::{site_key, site_name};
