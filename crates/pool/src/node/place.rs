//! Where a node's traffic comes out.

use std::{net::IpAddr, sync::atomic::Ordering::Relaxed};

use hezar_core::{ExitKey, Host, NetworkKey, ServerKey};

use super::Node;
use crate::Country;

/// The exit that a node takes turns under, and the network that it shares with its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitPlace {
    pub(crate) exit: ExitKey,
    pub(crate) network: NetworkKey,
}

impl ExitPlace {
    /// The place of a known exit address.
    fn from_ip(ip: IpAddr) -> Self {
        Self { exit: ExitKey::from_ip(ip), network: NetworkKey::from_ip(ip) }
    }

    /// The place of nodes of which only the server's name is known: all of them count as one exit.
    const fn from_server(server: ServerKey) -> Self {
        Self { exit: ExitKey::from_server(server), network: NetworkKey::from_server(server) }
    }
}

impl<D> Node<D> {
    /// The exit that it takes turns under: the address that targets see, or, before that is known, its server.
    #[must_use]
    pub fn exit(&self) -> ExitKey {
        ExitKey::from_number(self.exit.load(Relaxed)).unwrap_or_else(|| self.server_exit().exit)
    }

    /// The exit assumed before it is known: most proxies come out where they listen.
    pub(crate) fn server_exit(&self) -> ExitPlace {
        match self.spec.server.host() {
            Host::Ip(ip) => ExitPlace::from_ip(*ip),
            Host::Name(_) => ExitPlace::from_server(self.server_key),
        }
    }

    /// The exit and its network.
    pub(crate) fn exit_place(&self) -> ExitPlace {
        let known = if self.exit.load(Relaxed) == 0 { None } else { self.facts().exit_ip };
        known.map_or_else(|| self.server_exit(), ExitPlace::from_ip)
    }

    /// The network that it comes out of: the /24 or /48 around its exit, or, before the exit is known, around its
    /// server. Nodes of one operator often share it.
    #[must_use]
    pub fn exit_network(&self) -> NetworkKey {
        self.exit_place().network
    }

    /// The address that targets see, when it is known.
    #[must_use]
    pub fn exit_ip(&self) -> Option<IpAddr> {
        let known = if self.exit.load(Relaxed) == 0 { None } else { self.facts().exit_ip };
        known.map(|address| address.to_canonical())
    }

    /// The country of its exit.
    #[must_use]
    pub fn country(&self) -> Option<Country> {
        match self.country.load(Relaxed) {
            0 => None,
            letters => Some(letters.to_be_bytes()),
        }
    }
}
