//! What an HTTP proxy was seen to carry, and what it gives away: many tunnel to port 443 only, or not at all, and serve
//! plain requests, some of them with our address in a header.

use crate::Anonymity;

/// One of the ways through an HTTP proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpWay {
    /// Plain requests in absolute form (RFC 9112 §3.2.2).
    Plain,
    /// Tunnels (CONNECT) to port 443.
    Tunnel443,
    /// Tunnels to other ports.
    TunnelOther,
}

impl HttpWay {
    /// The way of a tunnel to a port.
    #[must_use]
    pub const fn tunnel(port: u16) -> Self {
        if port == 443 { Self::Tunnel443 } else { Self::TunnelOther }
    }
}

/// What is known of each [`HttpWay`] of a node (two bits for each, 0 = nothing, 1 = it works, 2 = it does not), and in the
/// two upper bits of its [`Anonymity`] (0 = nothing). A node of another protocol carries everything, and nothing is known
/// of it here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HttpAbility(u8);

impl HttpAbility {
    /// As it was stored.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// As it is stored; 0 = nothing is known.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Whether a way works; `None` when that is not known.
    #[must_use]
    pub const fn works_through(self, way: HttpWay) -> Option<bool> {
        match self.0 >> shift(way) & 3 {
            1 => Some(true),
            2 => Some(false),
            _ => None,
        }
    }

    /// The same with this known.
    #[must_use]
    pub const fn with(self, way: HttpWay, works: bool) -> Self {
        let (at, bits) = (shift(way), if works { 1 } else { 2 });
        Self(self.0 & !(3 << at) | bits << at)
    }

    /// What the target of a plain request learns; `None` while that is not known. A node that refuses the absolute form
    /// carries plain requests in tunnels alone, to which nothing is added.
    #[must_use]
    pub fn anonymity(self) -> Option<Anonymity> {
        if self.works_through(HttpWay::Plain) == Some(false) { Some(Anonymity::Elite) } else { self.seen_anonymity() }
    }

    /// The same with this seen.
    #[must_use]
    pub const fn with_anonymity(self, seen: Anonymity) -> Self {
        let bits = match seen {
            Anonymity::Elite => 1,
            Anonymity::Anonymous => 2,
            Anonymity::Transparent => 3,
        };
        Self(self.0 & !(3 << ANONYMITY_SHIFT) | bits << ANONYMITY_SHIFT)
    }

    /// What was seen of the absolute form.
    #[must_use]
    pub const fn seen_anonymity(self) -> Option<Anonymity> {
        match self.0 >> ANONYMITY_SHIFT {
            1 => Some(Anonymity::Elite),
            2 => Some(Anonymity::Anonymous),
            3 => Some(Anonymity::Transparent),
            _ => None,
        }
    }

    /// What is known here, and for the rest what was known before.
    #[must_use]
    pub fn or(self, before: Self) -> Self {
        let seen = self.seen_anonymity().or(before.seen_anonymity());
        let newest = seen.map_or(self, |seen| self.with_anonymity(seen));
        [HttpWay::Plain, HttpWay::Tunnel443, HttpWay::TunnelOther].into_iter().fold(newest, |known, way| {
            match (known.works_through(way), before.works_through(way)) {
                (None, Some(works)) => known.with(way, works),
                _ => known,
            }
        })
    }

    /// Whether any way is known to work.
    #[must_use]
    pub fn any_works(self) -> bool {
        [HttpWay::Plain, HttpWay::Tunnel443, HttpWay::TunnelOther]
            .into_iter()
            .any(|way| self.works_through(way) == Some(true))
    }

    /// Whether a plain request to a port travels in absolute form, not in a tunnel: unless that is known not to work, or
    /// only the tunnel is known to.
    #[must_use]
    pub fn is_plain(self, port: u16) -> bool {
        match self.works_through(HttpWay::Plain) {
            Some(works) => works,
            None => self.works_through(HttpWay::tunnel(port)) != Some(true),
        }
    }

    /// The name in the API: which ways are known to work.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let works = |way| self.works_through(way) == Some(true);
        let ways = (works(HttpWay::Plain), works(HttpWay::Tunnel443), works(HttpWay::TunnelOther));
        match ways {
            (true, true, true) => Some("plain,443,any-port"),
            (true, true, false) => Some("plain,443"),
            (true, false, true) => Some("plain,other-ports"),
            (true, false, false) => Some("plain"),
            (false, true, true) => Some("443,any-port"),
            (false, true, false) => Some("443"),
            (false, false, true) => Some("other-ports"),
            (false, false, false) => None,
        }
    }
}

/// Where the bits of the anonymity stand.
const ANONYMITY_SHIFT: u8 = 6;

const fn shift(way: HttpWay) -> u8 {
    match way {
        HttpWay::Plain => 0,
        HttpWay::Tunnel443 => 2,
        HttpWay::TunnelOther => 4,
    }
}
