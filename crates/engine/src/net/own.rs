//! The addresses of this machine and the listeners of this process. They are never dialled as nodes, because a request
//! would come back to this proxy without end.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, OnceLock},
};

use hezar_core::leads_to;
use parking_lot::RwLock;

/// The addresses on which this process listens for clients. Cheap to clone; all clones share one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnListeners(Arc<RwLock<Vec<SocketAddr>>>);

impl OwnListeners {
    /// Replaces the list.
    pub(crate) fn set(&self, listeners: impl IntoIterator<Item = SocketAddr>) {
        *self.0.write() = listeners.into_iter().collect();
    }

    /// Whether a connection to `address` would arrive at one of them.
    pub(crate) fn holds(&self, address: SocketAddr) -> bool {
        let ip = leads_to(address.ip());
        let arrives = |listener: &SocketAddr| {
            let own = listener.ip().to_canonical();
            listener.port() == address.port() && (own == ip || own.is_unspecified() && is_of_this_machine(ip))
        };
        self.0.read().iter().any(arrives)
    }
}

/// Whether an address belongs to an interface of this machine, now. The system is asked by binding a socket to it, which
/// sends nothing; a machine that lets sockets bind to foreign addresses cannot tell, except for loopback.
pub(crate) fn is_of_this_machine(address: IpAddr) -> bool {
    let ip = leads_to(address);
    ip.is_loopback() || ip.is_unspecified() || (!binds_anything() && binds(ip))
}

fn binds(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// Whether sockets bind to addresses that no interface has (tried with one of RFC 5737), as with `net.ipv4.ip_nonlocal_bind`.
fn binds_anything() -> bool {
    static ANYTHING: OnceLock<bool> = OnceLock::new();
    *ANYTHING.get_or_init(|| binds(IpAddr::from([192, 0, 2, 1])))
}
