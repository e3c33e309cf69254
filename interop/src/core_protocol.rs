//! Protocols that only a core dials.

use std::fmt;

/// A protocol that only a core dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreProtocol {
    ShadowsocksR {
        protocol: &'static str,
        obfs: &'static str,
    },
    /// Hysteria 1, obfuscated or not.
    Hysteria {
        obfs: bool,
    },
    /// Over HTTP when `obfs`.
    Snell {
        version: u8,
        obfs: bool,
    },
    /// TUIC 4, whose clients have a token.
    TuicToken,
    /// Over UDP or TCP.
    Mieru {
        udp: bool,
    },
    Sudoku,
    /// Over QUIC or TLS.
    TrustTunnel {
        quic: bool,
    },
    ShadowQuic,
}

impl CoreProtocol {
    /// Whether the server listens on a UDP port.
    pub(crate) const fn over_udp(self) -> bool {
        matches!(
            self,
            Self::Hysteria { .. }
                | Self::TuicToken
                | Self::Mieru { udp: true }
                | Self::TrustTunnel { quic: true }
                | Self::ShadowQuic
        )
    }
}

impl fmt::Display for CoreProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShadowsocksR { protocol, obfs } => write!(f, "ssr {protocol} {obfs}"),
            Self::Hysteria { obfs } => write!(f, "hysteria 1{}", if *obfs { " obfs" } else { "" }),
            Self::Snell { version, obfs } => write!(f, "snell {version}{}", if *obfs { " http" } else { "" }),
            Self::TuicToken => write!(f, "tuic 4"),
            Self::Mieru { udp } => write!(f, "mieru {}", if *udp { "udp" } else { "tcp" }),
            Self::Sudoku => write!(f, "sudoku"),
            Self::TrustTunnel { quic } => write!(f, "trusttunnel{}", if *quic { " quic" } else { "" }),
            Self::ShadowQuic => write!(f, "shadowquic"),
        }
    }
}
