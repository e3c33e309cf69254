//! The listening sockets of an instance, each kept once more, so that an address can pass from one listener to another without a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use tokio::net::TcpSocket;

use crate::inherited_sockets::{
    BoundSocket, InheritedSocket, InheritedSockets, SocketPlace, SocketProtocol, SocketRole, is_for,
};

/// How many connections may wait to be accepted at a socket.
const BACKLOG: u32 = 1024;
/// How many ports are tried until one is free for both protocols.
const PORT_TRIES: u32 = 32;

/// Sockets by the place where they really listen.
#[derive(Debug, Default)]
pub(super) struct ListeningSockets {
    open: Mutex<BTreeMap<SocketPlace, BoundSocket>>,
    /// Whose sockets they were before this process; those that nobody wants are closed with the first [`ListeningSockets::keep`].
    inherited: Mutex<Vec<Inherited>>,
}

/// A socket that another process has opened.
#[derive(Debug)]
struct Inherited {
    role: SocketRole,
    configured: Option<SocketAddr>,
    place: SocketPlace,
}

impl ListeningSockets {
    /// The sockets of another process.
    pub(super) fn inheriting(mut sockets: InheritedSockets) -> Self {
        let (mut open, mut inherited) = (BTreeMap::new(), Vec::new());
        for InheritedSocket { role, configured, place, socket } in sockets.take_all() {
            inherited.push(Inherited { role, configured, place });
            open.insert(place, socket);
        }
        Self { open: Mutex::new(open), inherited: Mutex::new(inherited) }
    }

    /// Where the inherited socket of a listener listens, for which the configuration names this address.
    fn inherited_address(&self, listener: &str, protocol: SocketProtocol, wanted: SocketAddr) -> Option<SocketAddr> {
        let mut inherited = self.inherited.lock();
        let place = inherited.iter().position(|one| match &one.role {
            SocketRole::Listener(name) => {
                one.place.protocol == protocol
                    && **name == *listener
                    && is_for(one.configured, one.place.address, wanted)
            }
            SocketRole::Api | SocketRole::Any => false,
        })?;
        Some(inherited.swap_remove(place).place.address)
    }

    /// The socket at a place, kept once more.
    pub(super) fn get(&self, place: SocketPlace) -> io::Result<Option<BoundSocket>> {
        self.open.lock().get(&place).map(BoundSocket::try_clone).transpose()
    }

    /// The sockets of a listener's own address, one for each protocol and all at one port: inherited ones, ones that are not to be `kept`
    /// where they are, or new ones. `key` is where another address can be said.
    ///
    /// # Errors
    /// The address is taken, with what to do about it.
    pub(super) async fn for_listener(
        &self,
        listener: &str,
        protocols: &[SocketProtocol],
        listen: SocketAddr,
        key: &str,
        kept: &BTreeSet<SocketPlace>,
    ) -> anyhow::Result<Vec<BoundSocket>> {
        let mut tries = PORT_TRIES;
        'again: loop {
            tries = tries.saturating_sub(1);
            let (mut sockets, mut address) = (Vec::new(), listen);
            for protocol in protocols.iter().copied() {
                // The second socket has the port of the first one.
                let wanted = self.inherited_address(listener, protocol, listen).unwrap_or(address);
                match self.take_or_bind(SocketPlace { protocol, address: wanted }, key, kept).await {
                    Ok(socket) => {
                        address = socket.place()?.address;
                        sockets.push(socket);
                    }
                    // The port that the system has chosen for one protocol is taken for the other.
                    Err(_) if listen.port() == 0 && !sockets.is_empty() && tries > 0 => continue 'again,
                    Err(error) => return Err(error),
                }
            }
            return Ok(sockets);
        }
    }

    /// A socket for a place: the one that listens there and is not to be `kept` where it is, or a new one. `key` is where another
    /// address can be said.
    ///
    /// # Errors
    /// The address is taken, with what to do about it.
    pub(super) async fn take_or_bind(
        &self,
        place: SocketPlace,
        key: &str,
        kept: &BTreeSet<SocketPlace>,
    ) -> anyhow::Result<BoundSocket> {
        let SocketPlace { protocol, address } = place;
        if kept.contains(&place) {
            bail!("cannot listen on {address}: another listener is there. Choose another address with {key}");
        }
        let leaving = self.leaving(place, kept).with_context(|| format!("the socket on {address}"))?;
        match (leaving, protocol) {
            (Some((at, socket)), _) if at == place => Ok(socket),
            (Some((_, socket)), _) => bind_beside(address, &socket).with_context(|| cannot_listen(address, key)),
            (None, SocketProtocol::Tcp) => Ok(BoundSocket::Tcp(listen(address, key).await?.into_std()?)),
            (None, SocketProtocol::Udp) => BoundSocket::bind(place).with_context(|| cannot_listen(address, key)),
        }
    }

    /// The socket that takes this place and is not kept, with the place where it listens.
    fn leaving(
        &self,
        place: SocketPlace,
        kept: &BTreeSet<SocketPlace>,
    ) -> io::Result<Option<(SocketPlace, BoundSocket)>> {
        let sockets = self.open.lock();
        let exact = sockets.get_key_value(&place);
        let near = || sockets.iter().find(|(at, _)| at.overlaps(place) && !kept.contains(at));
        exact.or_else(near).map(|(at, socket)| Ok((*at, socket.try_clone()?))).transpose()
    }

    /// Keeps these sockets, and lets go of all others: those are closed as soon as nobody serves them any more.
    pub(super) fn keep(&self, mut new: BTreeMap<SocketPlace, BoundSocket>, wanted: &BTreeSet<SocketPlace>) {
        for one in std::mem::take(&mut *self.inherited.lock()) {
            if one.configured.is_none() && !wanted.contains(&one.place) {
                let address = one.place.address;
                tracing::warn!(%address, "a socket of the service manager belongs to no listener: nobody is served there");
            }
        }
        let mut sockets = self.open.lock();
        sockets.append(&mut new);
        sockets.retain(|place, _| wanted.contains(place));
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
fn bind_beside(address: SocketAddr, leaving: &BoundSocket) -> io::Result<BoundSocket> {
    let shared = socket2::SockRef::from(leaving);
    shared.set_reuse_port(true)?;
    let bound = match leaving.protocol() {
        SocketProtocol::Tcp => bind_shared_tcp(address),
        SocketProtocol::Udp => bind_shared_udp(address),
    };
    shared.set_reuse_port(false)?;
    let bound = bound?;
    socket2::SockRef::from(&bound).set_reuse_port(false)?;
    Ok(bound)
}

#[cfg(unix)]
fn bind_shared_tcp(address: SocketAddr) -> io::Result<BoundSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(BoundSocket::Tcp(socket.listen(BACKLOG)?.into_std()?))
}

#[cfg(unix)]
fn bind_shared_udp(address: SocketAddr) -> io::Result<BoundSocket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(BoundSocket::Udp(socket.into()))
}

/// Other systems have no such option: the address is bound as any other, and refused.
#[cfg(not(unix))]
fn bind_beside(address: SocketAddr, leaving: &BoundSocket) -> io::Result<BoundSocket> {
    BoundSocket::bind(SocketPlace { protocol: leaving.protocol(), address })
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
    use std::net::UdpSocket;

    use super::*;

    fn place(protocol: SocketProtocol, address: SocketAddr) -> SocketPlace {
        SocketPlace { protocol, address }
    }

    async fn kept_socket(sockets: &ListeningSockets, protocol: SocketProtocol, address: &str) -> SocketPlace {
        let wanted = place(protocol, address.parse().unwrap());
        let socket = sockets.take_or_bind(wanted, "a key", &BTreeSet::new()).await.unwrap();
        let place = socket.place().unwrap();
        let all: BTreeSet<SocketPlace> = sockets.open.lock().keys().copied().chain([place]).collect();
        sockets.keep([(place, socket)].into(), &all);
        place
    }

    #[tokio::test]
    async fn an_address_passes_on_while_it_listens_and_stays_with_who_keeps_it() {
        let sockets = ListeningSockets::default();
        let at = kept_socket(&sockets, SocketProtocol::Tcp, "127.0.0.1:0").await;
        let kept = BTreeSet::from([at]);
        let refused = sockets.take_or_bind(at, "a key", &kept).await.unwrap_err().to_string();
        assert!(refused.contains("another listener") && refused.contains("a key"), "{refused}");
        let waiting = std::net::TcpStream::connect(at.address).unwrap();
        let taken = sockets.take_or_bind(at, "a key", &BTreeSet::new()).await.unwrap();
        sockets.clear();
        let BoundSocket::Tcp(taken) = taken else { panic!("it is a socket of TCP") };
        // The client that came before the socket passed on is not lost.
        taken.set_nonblocking(false).unwrap();
        assert_eq!(taken.accept().unwrap().1, waiting.local_addr().unwrap());
        drop(taken);
        assert!(std::net::TcpStream::connect(at.address).is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn both_protocols_have_one_address_and_pass_on_apart() {
        let sockets = ListeningSockets::default();
        let (protocols, any) = ([SocketProtocol::Tcp, SocketProtocol::Udp], "127.0.0.1:0".parse().unwrap());
        let both = sockets.for_listener("a", &protocols, any, "a key", &BTreeSet::new()).await.unwrap();
        let [tcp, udp] = [0, 1].map(|index| both[index].place().unwrap());
        assert_eq!((tcp.address, [tcp, udp].map(|place| place.protocol)), (udp.address, protocols));
        let all = BTreeSet::from([tcp, udp]);
        sockets.keep(both.into_iter().map(|socket| (socket.place().unwrap(), socket)).collect(), &all);
        // A listener of UDP alone may have the port of another one of TCP alone.
        let kept = BTreeSet::from([tcp]);
        let taken = sockets.for_listener("b", &[SocketProtocol::Udp], udp.address, "a key", &kept).await.unwrap();
        assert_eq!(taken[0].place().unwrap(), udp);
        assert!(sockets.for_listener("b", &[SocketProtocol::Tcp], udp.address, "a key", &kept).await.is_err());
        drop(taken);
        sockets.keep(BTreeMap::new(), &kept);
        // The socket of UDP is gone, and that of TCP is not.
        assert!(UdpSocket::bind(udp.address).is_ok() && TcpListener::bind(tcp.address).is_err());
    }

    #[tokio::test]
    async fn a_successor_finds_the_sockets_of_both_protocols() {
        let configured: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let udp = UdpSocket::bind(configured).unwrap();
        let tcp = TcpListener::bind(configured).unwrap();
        let addresses = [tcp.local_addr().unwrap(), udp.local_addr().unwrap()];
        let role = || SocketRole::Listener("a".into());
        let inherited = [BoundSocket::Udp(udp), BoundSocket::Tcp(tcp)];
        let inherited = inherited.map(|socket| InheritedSocket::new(role(), Some(configured), socket).unwrap());
        let sockets = ListeningSockets::inheriting(InheritedSockets::new(inherited.into()));
        let protocols = [SocketProtocol::Tcp, SocketProtocol::Udp];
        let found = sockets.for_listener("a", &protocols, configured, "a key", &BTreeSet::new()).await.unwrap();
        let found: Vec<_> = found.iter().map(|socket| socket.place().unwrap()).collect();
        assert_eq!(found, [0, 1].map(|index| place(protocols[index], addresses[index])));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn all_addresses_are_bound_before_the_one_of_this_machine_is_left() {
        for protocol in [SocketProtocol::Tcp, SocketProtocol::Udp] {
            let is_taken = |address: SocketAddr| BoundSocket::bind(place(protocol, address)).is_err();
            let sockets = ListeningSockets::default();
            // A port that is free at one address may belong to another program at another one.
            let free = BoundSocket::bind(place(protocol, "0.0.0.0:0".parse().unwrap())).unwrap().place().unwrap();
            let one = kept_socket(&sockets, protocol, &format!("127.0.0.1:{}", free.address.port())).await;
            let all = place(protocol, format!("0.0.0.0:{}", one.address.port()).parse().unwrap());
            let kept = BTreeSet::from([one]);
            assert!(sockets.take_or_bind(all, "a key", &kept).await.is_err(), "it is not left");
            let bound = sockets.take_or_bind(all, "a key", &BTreeSet::new()).await.unwrap();
            sockets.keep([(all, bound)].into(), &BTreeSet::from([all]));
            // Other programs find the port taken.
            assert!(is_taken(one.address) && is_taken(all.address));
            // And back again.
            let back = sockets.take_or_bind(one, "a key", &BTreeSet::new()).await.unwrap();
            assert_eq!(back.place().unwrap(), one);
        }
    }
}
