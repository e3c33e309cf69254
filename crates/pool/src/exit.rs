//! Where nodes come out, as keys that can be compared without a lock: the address, and the network around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::hash_key;

/// The key of an exit address; never 0. The same in every process of one build, not meant to be stored.
#[must_use]
pub fn exit_key(ip: IpAddr) -> u64 {
    hash_key(&ip.to_canonical()) | 1
}

/// The exit that a node takes turns under, and the network that it shares with its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitKey {
    pub(crate) exit: u64,
    pub(crate) network: u64,
}

impl ExitKey {
    /// A known address: its network is the /24 or the /48, what one subscriber or one rack usually gets.
    pub(crate) fn of_ip(ip: IpAddr) -> Self {
        let network = match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
        };
        Self { exit: exit_key(ip), network: hash_key(&(network, "network")) }
    }

    /// Nothing is known but the name of the server: all its nodes are taken for one exit.
    pub(crate) const fn of_server(server_key: u64) -> Self {
        Self { exit: server_key | 1, network: server_key | 1 }
    }
}
