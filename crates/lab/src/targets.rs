//! What a server may open: the names of this world and nothing else.

use std::net::{IpAddr, Ipv4Addr};

use hezar_core::{Host, Target};

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
    pub(crate) fn to_target(target: &Target) -> Self {
        let host = match target.host() {
            Host::Name(name) => name.as_str(),
            Host::Ip(IpAddr::V4(address)) => match hosts().find(|(_, known)| known == address) {
                Some((name, _)) => name,
                None => return Self::Forbidden,
            },
            Host::Ip(IpAddr::V6(_)) => return Self::Forbidden,
        };
        match (host, target.port()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(host: &str, port: u16) -> ConnectReply {
        ConnectReply::to_target(&Target::new(Host::new(host).unwrap(), port).unwrap())
    }

    #[test]
    fn only_names_of_this_world_are_opened_each_at_its_own_port() {
        assert_eq!(reply(DEMO_HOST, 80), ConnectReply::Open(Service::Http));
        assert_eq!(reply(SECURE_HOST, 443).service(), Some(Service::Https));
        assert_eq!(reply(SECURE_HOST, 80), ConnectReply::TargetRefused);
        assert_eq!(reply(CLOSED_HOST, 80), ConnectReply::TargetRefused);
        assert_eq!(reply("no-such-name.hezar", 80), ConnectReply::TargetUnknown);
        for (host, port) in [("example.org", 80), ("127.0.0.1", 80), ("192.0.2.1", 443), ("::1", 80), ("hezar", 80)] {
            assert_eq!(reply(host, port), ConnectReply::Forbidden, "{host}");
            assert_eq!(reply(host, port).service(), None);
        }
    }

    #[test]
    fn addresses_stand_for_their_names() {
        let all: Vec<_> = hosts().collect();
        assert_eq!(all.len(), ADDRESSED.len());
        for (name, address) in all {
            for port in [7, 9, 25, 80, 443] {
                assert_eq!(reply(&address.to_string(), port), reply(name, port), "{name}:{port}");
            }
        }
    }
}
