//! Cloudflare WARP: the settings that published nodes leave out, because they are the same for everybody.
//!
//! Lists carry thousands of links `wireguard://KEY@ADDRESS:PORT` without parameters. All servers of WARP have one public key, and
//! every device has the same IPv4 address inside the tunnel; only the key of the device differs. The values here are those
//! that WARP's registration API hands out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::WireGuard;
use crate::Host;

/// The public key of every WARP server.
const PUBLIC_KEY: &str = "bmXOC+F1FxEMF9dyiK2H5/1SUtzH0JuVo51h2wPfgyo=";
/// The address of every device inside the tunnel.
const ADDRESS: &str = "172.16.0.2/32";
/// The MTU of the official client, in bytes.
const MTU: u16 = 1280;
/// The networks of WARP servers: address and prefix length.
const DOORS_V4: [(Ipv4Addr, u32); 3] = [
    (Ipv4Addr::new(162, 159, 192, 0), 22),
    (Ipv4Addr::new(162, 159, 204, 0), 24),
    (Ipv4Addr::new(188, 114, 96, 0), 22),
];
const DOORS_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2606, 0x4700, 0xd0, 0, 0, 0, 0, 0), 47);

impl WireGuard {
    /// The settings with what WARP implies at this server. Those of other servers, and what the node says itself, stay as they are.
    ///
    /// Publishers give WARP's servers names of their own. A node at a name without a public key is taken for one of them: no other server
    /// can answer a handshake with WARP's key, so nothing is lost by the attempt.
    #[must_use]
    pub fn completed(&self, server: &Host) -> Self {
        let mut whole = self.clone();
        if self.public_key.as_deref().is_some_and(|key| key != PUBLIC_KEY) || !may_be_warp_server(server) {
            return whole;
        }
        whole.public_key.get_or_insert_with(|| PUBLIC_KEY.into());
        whole.mtu.get_or_insert(MTU);
        if whole.addresses.is_empty() {
            whole.addresses.push(ADDRESS.into());
        }
        whole
    }
}

fn may_be_warp_server(server: &Host) -> bool {
    match server {
        Host::Ip(IpAddr::V4(address)) => {
            DOORS_V4.iter().any(|(network, length)| (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length)
        }
        Host::Ip(IpAddr::V6(address)) => {
            let (network, length) = DOORS_V6;
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
        }
        // Its key is absent, or WARP's.
        Host::Name(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn bare() -> WireGuard {
        WireGuard {
            private_key: Secret::new("KEY"),
            public_key: None,
            pre_shared_key: None,
            addresses: Vec::new(),
            reserved: [0; 3],
            mtu: None,
            keepalive: None,
        }
    }

    #[test]
    fn a_node_at_a_warp_server_is_completed() {
        for door in [
            "162.159.195.255",
            "188.114.99.118",
            "2606:4700:d1::a29f:c001",
            "engage.cloudflareclient.com",
            "wg.example.com",
        ] {
            let whole = bare().completed(&Host::new(door).unwrap());
            assert_eq!(whole.public_key.as_deref(), Some(PUBLIC_KEY), "{door}");
            assert_eq!(whole.addresses, [ADDRESS.into()], "{door}");
            assert_eq!(whole.mtu, Some(MTU), "{door}");
        }
    }

    #[test]
    fn other_servers_get_nothing() {
        for server in ["162.159.196.1", "188.114.100.1", "2606:4700:d2::1"] {
            assert_eq!(bare().completed(&Host::new(server).unwrap()), bare(), "{server}");
        }
    }

    #[test]
    fn what_the_node_says_is_kept() {
        let own = WireGuard { public_key: Some("OTHER".into()), ..bare() };
        for server in ["162.159.192.1", "wg.example.com"] {
            assert_eq!(own.completed(&Host::new(server).unwrap()), own);
        }
        let own = WireGuard { addresses: vec!["10.0.0.2/32".into()], mtu: Some(1420), ..bare() };
        let whole = own.completed(&Host::new("162.159.192.1").unwrap());
        assert_eq!((whole.addresses, whole.mtu), (own.addresses, own.mtu));
    }
}
