//! The words of Hezar: what a node is, where a connection goes, how far it came and whose fault a failure was.
//!
//! This crate knows no runtime and does no I/O. Every other crate of the workspace speaks in these types.

mod anonymity;
mod calendar;
mod canonical;
mod code;
mod fault;
mod group;
mod health;
mod http_ability;
mod keys;
mod label;
mod latency_buckets;
mod node;
mod outbound;
mod reach;
mod roles;
mod secret;
mod security;
pub mod settings;
mod target;
mod time;
mod transport;

pub use anonymity::{Anonymity, ParseAnonymityError};
pub use calendar::{ParseDayError, UtcDay, civil_date, day_number};
pub use canonical::{Canon, Canonical};
pub use code::{Code, CodeDoc};
pub use fault::{Fault, Stage};
pub use group::{Group, GroupMember, ParseGroupError};
pub use health::{Country, LastFailure, Listing, Quarantine, Record, SourceName, State};
pub use http_ability::{HttpAbility, HttpWay};
pub use keys::{ExitKey, KeyHasher, NetworkKey, ServerKey, SessionKey, SiteKey, TargetKey, hash64};
pub use label::{Label, displayable};
pub use latency_buckets::LatencyBuckets;
pub use node::{ChainTooLong, NodeId, NodeSpec, ParseNodeIdError};
pub use outbound::{
    AnyTls, ClashKind, ClashOnly, Congestion, Credentials, HttpProxy, Hysteria, Hysteria2, HysteriaObfs,
    HysteriaTransport, ImpossiblePair, Mieru, MieruMultiplexing, MieruTransport, Obfs2, Outbound, PacketEncoding,
    Plugin, Shadowsocks, ShadowsocksR, Snell, SnellObfs, SocksProxy, SocksVersion, Ssh, StreamNode, StreamProtocol,
    Trojan, Tuic, TuicUser, UdpRelayMode, Vision, Vless, Vmess, VmessCipher, WireGuard,
};
pub use reach::{Reach, leads_to};
pub use roles::{ParseRolesError, Role, Roles};
pub use secret::Secret;
pub use security::{Fingerprint, Pin, Reality, Security, SecurityKind, ShortId, Tls, UNREADABLE_PIN};
pub use target::{DomainName, Host, Target, TargetError};
pub use time::{OptionalTime, Timestamp};
pub use transport::{
    Carrier, EarlyData, Grpc, GrpcMode, Http2, HttpHeader, HttpUpgrade, Kcp, QuicTransport, TransportKind, WebSocket,
    Xhttp, XhttpDownload, XhttpMode,
};

#[cfg(test)]
mod tests;
