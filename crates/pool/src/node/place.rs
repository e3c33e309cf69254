//! Where a node's traffic comes out.

use std::sync::atomic::Ordering::Relaxed;

use hezar_core::Host;

use super::Node;
use crate::{Country, exit::ExitKey};

impl<D> Node<D> {
    /// The key of the exit that it takes turns under, as [`exit_key`](crate::exit::exit_key) makes it: the address that targets see, or,
    /// before that is known, its server.
    #[must_use]
    pub fn exit(&self) -> u64 {
        match self.exit.load(Relaxed) {
            0 => self.server_exit().exit,
            exit => exit,
        }
    }

    /// The exit assumed before it is known: most proxies come out where they listen.
    pub(crate) fn server_exit(&self) -> ExitKey {
        match self.spec.server.host() {
            Host::Ip(ip) => ExitKey::of_ip(*ip),
            Host::Name(_) => ExitKey::of_server(self.server_key),
        }
    }

    /// The exit and its network.
    pub(crate) fn exit_place(&self) -> ExitKey {
        let known = if self.exit.load(Relaxed) == 0 { None } else { self.facts.lock().exit_ip };
        known.map_or_else(|| self.server_exit(), ExitKey::of_ip)
    }

    /// The key of the network that it comes out of: the /24 or /48 around its exit, or, before the exit is known, around
    /// its server. Nodes of one operator often share it.
    #[must_use]
    pub fn exit_network(&self) -> u64 {
        self.exit_place().network
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
