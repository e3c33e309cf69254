//! The listening sockets of an instance, each kept once more, so that an address can pass from one listener to another without a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use tokio::net::TcpSocket;

use crate::{
    config::overlap,
    inherited_sockets::{InheritedSocket, InheritedSockets, SocketRole, is_for},
};

/// How many connections may wait to be accepted at a socket.
const BACKLOG: u32 = 1024;

/// Sockets by the address where they really listen.
#[derive(Debug, Default)]
pub(super) struct ListeningSockets {
    open: Mutex<BTreeMap<SocketAddr, TcpListener>>,
    /// Whose sockets they were before this process; those that nobody wants are closed with the first [`ListeningSockets::keep`].
    inherited: Mutex<Vec<Inherited>>,
}

/// A socket that another process has opened.
#[derive(Debug)]
struct Inherited {
    role: SocketRole,
    configured: Option<SocketAddr>,
    address: SocketAddr,
}

impl ListeningSockets {
    /// The sockets of another process.
    pub(super) fn inheriting(mut sockets: InheritedSockets) -> Self {
        let (mut open, mut inherited) = (BTreeMap::new(), Vec::new());
        for InheritedSocket { role, configured, address, socket } in sockets.take_all() {
            inherited.push(Inherited { role, configured, address });
            open.insert(address, socket);
        }
        Self { open: Mutex::new(open), inherited: Mutex::new(inherited) }
    }

    /// Where the inherited socket of a listener listens, for which the configuration names this address.
    pub(super) fn inherited_address(&self, listener: &str, wanted: SocketAddr) -> Option<SocketAddr> {
        let mut inherited = self.inherited.lock();
        let place = inherited.iter().position(|one| match &one.role {
            SocketRole::Listener(name) => **name == *listener && is_for(one.configured, one.address, wanted),
            SocketRole::Api | SocketRole::Any => false,
        })?;
        Some(inherited.swap_remove(place).address)
    }

    /// The socket at an address, kept once more.
    pub(super) fn get(&self, address: SocketAddr) -> io::Result<Option<TcpListener>> {
        self.open.lock().get(&address).map(TcpListener::try_clone).transpose()
    }

    /// A socket for an address: the one that listens there and is not to be `kept` where it is, or a new one. `key` is where another
    /// address can be said.
    ///
    /// # Errors
    /// The address is taken, with what to do about it.
    pub(super) async fn take_or_bind(
        &self,
        address: SocketAddr,
        key: &str,
        kept: &BTreeSet<SocketAddr>,
    ) -> anyhow::Result<TcpListener> {
        if kept.contains(&address) {
            bail!("cannot listen on {address}: another listener is there. Choose another address with {key}");
        }
        let leaving = self.leaving(address, kept).with_context(|| format!("the socket on {address}"))?;
        match leaving {
            Some((at, socket)) if at == address => Ok(socket),
            Some((_, socket)) => bind_beside(address, &socket).with_context(|| cannot_listen(address, key)),
            None => Ok(listen(address, key).await?.into_std()?),
        }
    }

    /// The socket that takes this address and is not kept, with the address where it listens.
    fn leaving(
        &self,
        address: SocketAddr,
        kept: &BTreeSet<SocketAddr>,
    ) -> io::Result<Option<(SocketAddr, TcpListener)>> {
        let sockets = self.open.lock();
        let exact = sockets.get_key_value(&address);
        let near = || sockets.iter().find(|(at, _)| overlap(**at, address) && !kept.contains(at));
        exact.or_else(near).map(|(at, socket)| Ok((*at, socket.try_clone()?))).transpose()
    }

    /// Keeps these sockets, and lets go of all others: those are closed as soon as nobody serves them any more.
    pub(super) fn keep(&self, mut new: BTreeMap<SocketAddr, TcpListener>, wanted: &BTreeSet<SocketAddr>) {
        for one in std::mem::take(&mut *self.inherited.lock()) {
            if one.configured.is_none() && !wanted.contains(&one.address) {
                tracing::warn!(address = %one.address, "a socket of the service manager belongs to no listener: nobody is served there");
            }
        }
        let mut sockets = self.open.lock();
        sockets.append(&mut new);
        sockets.retain(|address, _| wanted.contains(address));
    }

    /// Lets go of all sockets.
    pub(super) fn clear(&self) {
        self.open.lock().clear();
    }
}

/// Binds an address that overlaps with the one of a socket of ours which is about to be closed, such as 0.0.0.0:8000 with 127.0.0.1:8000.
/// Both sockets must allow that (SO_REUSEPORT, socket(7)), for this moment only. Programs that do not ask for sharing find the port taken
/// as before, and those of other users always do.
#[cfg(unix)]
fn bind_beside(address: SocketAddr, leaving: &TcpListener) -> io::Result<TcpListener> {
    let leaving = socket2::SockRef::from(leaving);
    leaving.set_reuse_port(true)?;
    let bound = (|| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?.into_std()?;
        socket2::SockRef::from(&listener).set_reuse_port(false)?;
        Ok(listener)
    })();
    leaving.set_reuse_port(false)?;
    bound
}

/// Other systems have no such option: the address is bound as any other, and refused.
#[cfg(not(unix))]
fn bind_beside(address: SocketAddr, _: &TcpListener) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds an address.
///
/// # Errors
/// With what to do about it; `key` is where another address can be said.
pub(crate) async fn listen(address: SocketAddr, key: &str) -> anyhow::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await.with_context(|| cannot_listen(address, key))
}

/// Finds out that an address can be listened on, and which one it is when its port is 0. Nobody listens there afterwards.
///
/// # Errors
/// As [`listen`].
pub(super) fn free_address(address: SocketAddr, key: &str) -> anyhow::Result<SocketAddr> {
    let bound = TcpListener::bind(address).and_then(|socket| socket.local_addr());
    bound.with_context(|| cannot_listen(address, key))
}

fn cannot_listen(address: SocketAddr, key: &str) -> String {
    format!("cannot listen on {address}: is another program using it? Choose another address with {key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn kept_socket(sockets: &ListeningSockets, address: &str) -> SocketAddr {
        let socket = sockets.take_or_bind(address.parse().unwrap(), "a key", &BTreeSet::new()).await.unwrap();
        let address = socket.local_addr().unwrap();
        let all: BTreeSet<SocketAddr> = sockets.open.lock().keys().copied().chain([address]).collect();
        sockets.keep([(address, socket)].into(), &all);
        address
    }

    #[tokio::test]
    async fn an_address_passes_on_while_it_listens_and_stays_with_who_keeps_it() {
        let sockets = ListeningSockets::default();
        let address = kept_socket(&sockets, "127.0.0.1:0").await;
        let kept = BTreeSet::from([address]);
        let refused = sockets.take_or_bind(address, "a key", &kept).await.unwrap_err().to_string();
        assert!(refused.contains("another listener") && refused.contains("a key"), "{refused}");
        let waiting = std::net::TcpStream::connect(address).unwrap();
        let taken = sockets.take_or_bind(address, "a key", &BTreeSet::new()).await.unwrap();
        sockets.clear();
        // The client that came before the socket passed on is not lost.
        taken.set_nonblocking(false).unwrap();
        assert_eq!(taken.accept().unwrap().1, waiting.local_addr().unwrap());
        drop(taken);
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn all_addresses_are_bound_before_the_one_of_this_machine_is_left() {
        let sockets = ListeningSockets::default();
        let one = kept_socket(&sockets, "127.0.0.1:0").await;
        let all: SocketAddr = format!("0.0.0.0:{}", one.port()).parse().unwrap();
        let kept = BTreeSet::from([one]);
        assert!(sockets.take_or_bind(all, "a key", &kept).await.is_err(), "it is not left");
        let bound = sockets.take_or_bind(all, "a key", &BTreeSet::new()).await.unwrap();
        sockets.keep([(all, bound)].into(), &BTreeSet::from([all]));
        assert!(std::net::TcpStream::connect(one).is_ok());
        // Other programs find the port taken.
        assert!(TcpListener::bind(one).is_err() && TcpListener::bind(all).is_err());
        // And back again.
        let back = sockets.take_or_bind(one, "a key", &BTreeSet::new()).await.unwrap();
        assert_eq!(back.local_addr().unwrap(), one);
    }
}
