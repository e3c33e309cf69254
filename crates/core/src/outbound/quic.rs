//! The protocols that bring their own QUIC.

use uuid::Uuid;

use crate::{Secret, Tls};

/// The disguise of Hysteria 2's packets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Obfs2 {
    /// Salamander: packets are masked with a hash of the password.
    Salamander {
        /// The password of the disguise.
        password: Secret,
    },
    /// Gecko, with packet sizes in bytes as published.
    Gecko {
        /// The password of the disguise.
        password: Secret,
        /// The smallest packet, in bytes; absent = the default.
        min_packet: Option<u16>,
        /// The largest packet, in bytes; absent = the default.
        max_packet: Option<u16>,
    },
}

/// Hysteria 2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hysteria2 {
    /// The whole `auth` string.
    pub auth: Secret,
    /// The ports to hop over, as inclusive ranges, besides the server's own; empty = no hopping.
    pub ports: Vec<(u16, u16)>,
    /// Seconds between hops; absent = the client's default (30).
    pub hop_interval: Option<u32>,
    /// The disguise.
    pub obfs: Option<Obfs2>,
    /// Our upload bandwidth in Mbit/s for Brutal; absent = congestion control without a promise.
    pub up_mbps: Option<u32>,
    /// Our download bandwidth in Mbit/s.
    pub down_mbps: Option<u32>,
    /// TLS inside QUIC.
    pub tls: Tls,
}

/// What Hysteria 1 pretends to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HysteriaTransport {
    /// Plain UDP.
    #[default]
    Udp,
    /// The packets of a WeChat video call.
    WechatVideo,
    /// TCP segments without a TCP connection.
    FakeTcp,
}

/// The disguise of Hysteria 1's packets (`xplus`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HysteriaObfs(pub Secret);

/// Hysteria 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hysteria {
    /// The `auth` string.
    pub auth: Secret,
    /// The ports to hop over besides the server's own.
    pub ports: Vec<(u16, u16)>,
    /// What carries QUIC.
    pub transport: HysteriaTransport,
    /// The disguise.
    pub obfs: Option<HysteriaObfs>,
    /// Our upload bandwidth in Mbit/s.
    pub up_mbps: Option<u32>,
    /// Our download bandwidth in Mbit/s.
    pub down_mbps: Option<u32>,
    /// TLS inside QUIC.
    pub tls: Tls,
}

/// Who a TUIC client is: version 5 has a user, version 4 a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TuicUser {
    /// Version 5.
    V5 {
        /// The user.
        id: Uuid,
        /// The password.
        password: Secret,
    },
    /// Version 4.
    V4 {
        /// The token.
        token: Secret,
    },
}

/// TUIC's congestion control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Congestion {
    /// CUBIC (RFC 9438).
    #[default]
    Cubic,
    /// New Reno (RFC 6582).
    NewReno,
    /// BBR.
    Bbr,
}

impl Congestion {
    /// The name in links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::NewReno => "new_reno",
            Self::Bbr => "bbr",
        }
    }
}

/// How TUIC relays UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UdpRelayMode {
    /// In QUIC datagrams.
    #[default]
    Native,
    /// In QUIC streams, one for each packet.
    Quic,
}

/// TUIC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tuic {
    /// Who the client is.
    pub user: TuicUser,
    /// The congestion control.
    pub congestion: Congestion,
    /// How UDP is relayed.
    pub udp_relay: UdpRelayMode,
    /// Whether the first request goes out as early data (0-RTT).
    pub reduce_rtt: bool,
    /// The TLS settings of QUIC.
    pub tls: Tls,
}
