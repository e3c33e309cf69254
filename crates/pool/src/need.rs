//! What a request asks of a node that is an HTTP proxy.

use hezar_core::{Anonymity, HttpAbility, HttpWay};

/// What a request asks of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// Nothing is said.
    #[default]
    Anything,
    /// One plain HTTP request: absolute form or a tunnel.
    Plain {
        /// The target's port.
        port: u16,
        /// Whether a node that is known to tell our address may get the absolute form.
        allow_transparent: bool,
    },
    /// A tunnel to a port.
    Tunnel(u16),
}

impl Need {
    /// Whether a node may carry it; what is not known may be tried.
    #[must_use]
    pub fn fits(self, ability: HttpAbility) -> bool {
        let may = |way| ability.works_through(way) != Some(false);
        match self {
            Self::Anything => true,
            Self::Plain { port, .. } => {
                (may(HttpWay::Plain) && self.allows_absolute(ability)) || may(HttpWay::tunnel(port))
            }
            Self::Tunnel(port) => may(HttpWay::tunnel(port)),
        }
    }

    /// Whether a node gets it in absolute form (RFC 9112 §3.2.2), not in a tunnel.
    #[must_use]
    pub fn is_absolute(self, ability: HttpAbility) -> bool {
        matches!(self, Self::Plain { port, .. } if ability.is_plain(port)) && self.allows_absolute(ability)
    }

    /// The same, when it does not matter whether the node tells our address.
    #[must_use]
    pub const fn allowing_transparent(self) -> Self {
        match self {
            Self::Plain { port, .. } => Self::Plain { port, allow_transparent: true },
            other => other,
        }
    }

    fn allows_absolute(self, ability: HttpAbility) -> bool {
        matches!(self, Self::Plain { allow_transparent: true, .. })
            || ability.anonymity() != Some(Anonymity::Transparent)
    }
}
