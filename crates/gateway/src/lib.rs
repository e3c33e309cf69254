//! The one port that clients use: HTTP and SOCKS in, a healthy node out.
//!
//! [`Gateway::serve`] accepts connections, finds out the protocol by the first byte, reads who asks for which target,
//! and sends each request over a node of its own, with failover. Nothing is ever dialled without a leased node.

mod accepting;
mod access;
mod association;
mod config;
mod connections;
mod context;
mod encrypted_inbound;
mod error;
mod failover;
mod fallback;
mod feedback;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gateway;
mod groups;
mod hop_by_hop;
mod inbound;
mod inbound_settings;
mod listener;
mod listener_sockets;
mod privacy;
mod quic_server;
mod relay;
mod replay;
mod serve_error;
mod session_ports;
mod site;
mod spans;
mod telemetry;
mod tunnel;
mod usage;
mod user;
mod username_options;

pub use access::{
    OpenElsewhere, ParseSessionIdError, Session, SessionId, SessionNameRef, Sessions, SharedSession, SharedSessions,
    read_name,
};
pub use config::{ConfigError, GatewayConfig};
pub use connections::{ConnectionInfo, Connections, NodeTraffic};
pub use encrypted_inbound::check_reality_site;
pub use error::{AttemptError, OptionError, QuotaPeriod, Refusal};
pub use feedback::{BodyPattern, FeedbackRule, MOST_FEEDBACK_RULES, StatusSet};
pub use gateway::Gateway;
pub use groups::{GroupSelections, SelectionError};
pub use hezar_engine::server::{InboundKey, UnusableSite};
pub use inbound_settings::{
    InboundConfig, InboundFallback, InboundHysteria2, InboundProtocol, InboundReality, InboundShadowsocks,
    InboundTransport, InboundTransportKind, LinkSession, ListenerKind, RealityPrivateKey, RealitySite,
    ShadowsocksMethod, ShortIds,
};
pub use listener_sockets::ListenerSockets;
pub use privacy::LogPrivacy;
pub use serve_error::ServeError;
pub use session_ports::PortRange;
pub use site::{site_key, site_name};
pub use spans::{AttemptSpan, RequestSpan, RequestTracer};
pub use telemetry::{AccessLog, AccessRecord, AccessSink, Metrics, RecentError, Traffic};
pub use usage::{Usage, UsageSummary, UsedBytes, UserDay};
pub use user::{
    AccessRules, DefaultOptions, HostPatterns, Limits, MOST_USER_LINKS, PasswordError, PasswordHash, PortSet, Quota,
    User, UserKey, UserLink, VlessId, credential,
};
pub use username_options::UserOptions;
