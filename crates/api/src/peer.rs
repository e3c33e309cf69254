//! The address of the client behind a request, and what counts as one client in limits.

use std::net::IpAddr;

use axum::http::HeaderMap;

/// The header in which a reverse proxy names the client; the last address in it is the one that the proxy itself has seen.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address that a connection comes from. The server adds it to every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    /// Whether it may name another client.
    is_proxy: bool,
}

impl Peer {
    /// The other end of a connection. A server on this machine that passes requests on is believed too when it names another client:
    /// otherwise all its clients would share one limit.
    pub(crate) fn new(address: IpAddr, is_trusted_proxy: bool) -> Self {
        Self { address, is_proxy: is_trusted_proxy || address.to_canonical().is_loopback() }
    }

    /// The client's own address.
    pub(crate) fn client(self, headers: &HeaderMap) -> IpAddr {
        if !self.is_proxy {
            return self.address;
        }
        let last = headers.get_all(FORWARDED_FOR).into_iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.unwrap_or(self.address)
    }
}

/// The network that one client can choose its addresses from: an IPv4 address alone, or the first 64 bits of an IPv6 address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_or_a_server_on_this_machine_may_name_another_client() {
        let client = |peer: &str, values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let trusted = peer == "198.51.100.1";
            Peer::new(peer.parse().unwrap(), trusted).client(&headers).to_string()
        };
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(
            client("127.0.0.1", &["192.0.2.1, 203.0.113.5"]),
            "203.0.113.5",
            "the client may send the first one"
        );
        assert_eq!(client("::1", &["192.0.2.1", "2001:db8::5"]), "2001:db8::5");
        assert_eq!(client("127.0.0.1", &["192.0.2.1, unknown"]), "127.0.0.1");
        assert_eq!(client("203.0.113.9", &["192.0.2.1"]), "203.0.113.9");
        assert_eq!(client("198.51.100.1", &["192.0.2.1"]), "192.0.2.1", "a trusted proxy");
    }

    #[test]
    fn an_ipv6_network_of_64_bits_counts_as_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
