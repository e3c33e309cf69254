//! Loopback addresses for the servers: another one for each where the system has the whole 127.0.0.0/8.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Pending connections that a listener keeps; the kernel may lower it.
const BACKLOG: i32 = 1024;

/// The loopback address number `index` of a block: 127.`block`.0.2, 127.`block`.0.3, …; 254 addresses to a /24.
pub(crate) fn loopback(block: u8, index: usize) -> Ipv4Addr {
    let third = u8::try_from(index / 253 % 256).unwrap_or(0);
    let fourth = u8::try_from(2 + index % 253).unwrap_or(2);
    Ipv4Addr::new(127, block, third, fourth)
}

/// Takes a port that the system chooses, without listening: connecting to it is refused until [`listen`].
pub(crate) fn reserve(address: Ipv4Addr) -> io::Result<Socket> {
    let wanted = SocketAddr::from((address, 0));
    bind(wanted).or_else(|error| match error.kind() {
        // Systems other than Linux have 127.0.0.1 alone.
        io::ErrorKind::AddrNotAvailable => bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        _ => Err(error),
    })
}

/// Takes one address, without listening.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Starts to listen on a socket that has its address.
pub(crate) fn listen(socket: Socket) -> io::Result<tokio::net::TcpListener> {
    socket.listen(BACKLOG)?;
    tokio::net::TcpListener::from_std(socket.into())
}

/// The address of a bound socket.
pub(crate) fn local(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .filter(|address| matches!(address.ip(), IpAddr::V4(_)))
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_are_loopback_and_different() {
        let all: HashSet<_> = (0..60_000).map(|index| loopback(3, index)).collect();
        assert_eq!(all.len(), 60_000);
        assert!(
            all.iter().all(|address| address.octets()[..2] == [127, 3] && !matches!(address.octets()[3], 0 | 1 | 255))
        );
    }

    #[tokio::test]
    async fn a_reserved_address_refuses_connections_until_somebody_listens() {
        let socket = reserve(loopback(2, 0)).unwrap();
        let address = local(&socket).unwrap();
        assert!(address.ip().is_loopback() && address.port() > 0);
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        let listener = listen(socket).unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_ok());
        assert_eq!(listener.local_addr().unwrap(), address);
    }
}
