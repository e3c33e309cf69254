//! The listeners leave their clients to another process.

use std::net::SocketAddr;

use hezar_gateway::OpenElsewhere;

use super::Listeners;
use crate::inherited_sockets::{BoundSocket, SocketRole};

impl Listeners {
    /// What a successor needs to accept clients in the place of this process: each socket with its role and the address that the
    /// configuration names.
    ///
    /// # Errors
    /// A socket cannot be kept once more.
    pub(crate) fn handed_sockets(&self) -> std::io::Result<Vec<(SocketRole, SocketAddr, BoundSocket)>> {
        let mut handed = Vec::new();
        for open in self.open.read().iter() {
            let role = SocketRole::Listener(open.config.name.clone());
            for place in open.places() {
                let Some(socket) = self.sockets.get(place)? else { continue };
                let is_first = place.address == open.address;
                handed.push((role.clone(), if is_first { open.config.listen } else { place.address }, socket));
            }
        }
        Ok(handed)
    }

    /// Accepts nobody for the moment; see [`Gateway::pause_accepting`].
    pub(crate) fn pause_accepting(&self) {
        self.gateway.pause_accepting();
    }

    /// Accepts clients again; see [`Gateway::resume_accepting`].
    pub(crate) fn resume_accepting(&self) {
        self.gateway.resume_accepting();
    }

    /// Leaves the clients to another process; see [`Gateway::hand_over`].
    pub(crate) fn hand_over(&self) {
        self.gateway.hand_over();
        self.sockets.clear();
        self.handed_over.cancel();
    }

    /// See [`Gateway::set_open_elsewhere`].
    pub(crate) fn set_open_elsewhere(&self, listener: &str, open: &[OpenElsewhere]) {
        self.gateway.set_open_elsewhere(listener, open);
    }
}
