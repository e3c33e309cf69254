//! What a server may open: the names of this world and nothing else.

use std::net::{Ipv4Addr, SocketAddr};

use shadowsocks::relay::socks5::Address;

use crate::{
    origin::{BEACON_HOST, CLOSED_HOST, DEMO_HOST, ECHO_HOST, GREET_HOST, LEDGER_HOST},
    secure::SECURE_HOST,
};

/// The names of this world that have an address, for clients that look names up themselves.
const ADDRESSED: [&str; 6] = [DEMO_HOST, BEACON_HOST, ECHO_HOST, SECURE_HOST, GREET_HOST, LEDGER_HOST];

/// The address of each name: of the range for benchmarks (RFC 2544), which leads nowhere.
pub fn hosts() -> impl Iterator<Item = (&'static str, Ipv4Addr)> {
    ADDRESSED.into_iter().zip(1..).map(|(name, last)| (name, Ipv4Addr::new(198, 18, 0, last)))
}

/// A thing behind the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// The HTTP origin.
    Http,
    /// The same, as long as it is there.
    Beacon,
    /// Sends back what it gets.
    Echo,
    /// Datagrams to the echo, beside the stream that asks for them.
    Datagrams,
    /// The HTTP origin behind TLS.
    Https,
    /// The echo behind TLS.
    SecureEcho,
    /// Speaks first, then echoes.
    Greeting,
    /// Writes down every line that it gets and says how often it has seen it.
    Ledger,
}

/// The answer to a request for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectReply {
    /// Open it.
    Open(Service),
    /// The target refuses connections.
    TargetRefused,
    /// The target's name does not exist.
    TargetUnknown,
    /// Not of this world.
    Forbidden,
}

impl ConnectReply {
    /// Looks a target up.
    pub(crate) fn to_target(target: &Address) -> Self {
        let (host, port) = match target {
            Address::DomainNameAddress(host, port) => (host.as_str(), *port),
            Address::SocketAddress(SocketAddr::V4(address)) => {
                let Some((name, _)) = hosts().find(|(_, known)| known == address.ip()) else { return Self::Forbidden };
                (name, address.port())
            }
            Address::SocketAddress(SocketAddr::V6(_)) => return Self::Forbidden,
        };
        match (host, port) {
            (DEMO_HOST, 80) => Self::Open(Service::Http),
            (BEACON_HOST, 80) => Self::Open(Service::Beacon),
            (ECHO_HOST, 7) => Self::Open(Service::Echo),
            (SECURE_HOST, 443) => Self::Open(Service::Https),
            (SECURE_HOST, 7) => Self::Open(Service::SecureEcho),
            (GREET_HOST, 25) => Self::Open(Service::Greeting),
            (LEDGER_HOST, 9) => Self::Open(Service::Ledger),
            (CLOSED_HOST | DEMO_HOST | BEACON_HOST | ECHO_HOST | SECURE_HOST | GREET_HOST | LEDGER_HOST, _) => {
                Self::TargetRefused
            }
            (host, _) if host.ends_with(".hezar") => Self::TargetUnknown,
            _ => Self::Forbidden,
        }
    }

    /// The service, if it may be opened.
    pub(crate) const fn service(self) -> Option<Service> {
        match self {
            Self::Open(service) => Some(service),
            _ => None,
        }
    }
}
