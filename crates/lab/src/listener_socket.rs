//! The listening socket of a server, which a fault can close while its port stays taken.

use std::{io, net::SocketAddr, time::Duration};

use socket2::Socket;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    Fault,
    address::{bind, listen},
};

/// How often a port is asked for that its listener has just left, and the pause between.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// The listening socket, or the same port held without listening.
pub(crate) enum ListenerSocket {
    Open(TcpListener),
    Closed(#[allow(dead_code, reason = "held so that nobody else gets the port")] Socket),
}

impl ListenerSocket {
    /// The state of a socket that has its address.
    pub(crate) fn new(socket: Socket, fault: Fault) -> io::Result<Self> {
        Ok(if fault == Fault::Refused { Self::Closed(socket) } else { Self::Open(listen(socket)?) })
    }

    /// Opens or closes it as the fault wants; the port stays the same.
    pub(crate) async fn apply(&mut self, address: SocketAddr, fault: Fault) -> io::Result<()> {
        match (&self, fault == Fault::Refused) {
            (Self::Open(_), true) => {
                let spare = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
                // The listener has to go before its port can be taken again.
                *self = Self::Closed(spare);
                *self = Self::Closed(bind_again(address).await?);
            }
            (Self::Closed(_), false) => {
                let spare = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
                let Self::Closed(socket) = std::mem::replace(self, Self::Closed(spare)) else {
                    return Ok(());
                };
                *self = Self::Open(listen(socket)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Waits for a connection; for ever while the port is closed.
    pub(crate) async fn accept(&self) -> io::Result<TcpStream> {
        match self {
            Self::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            Self::Closed(_) => std::future::pending().await,
        }
    }
}

/// Takes an address whose listener has just been closed. A child process that is being started holds a copy of the listener until
/// its own program runs.
async fn bind_again(address: SocketAddr) -> io::Result<Socket> {
    for _ in 1..TRIES {
        match bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
    bind(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{local, loopback, reserve};

    #[tokio::test(start_paused = true)]
    async fn a_listener_is_closed_although_a_child_still_holds_it() {
        let mut socket = ListenerSocket::new(reserve(loopback(2, 1)).unwrap(), Fault::Healthy).unwrap();
        let ListenerSocket::Open(listener) = &socket else { unreachable!() };
        let address = listener.local_addr().unwrap();
        let held_by_child = socket2::SockRef::from(listener).try_clone().unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(5 * PAUSE).await;
            drop(held_by_child);
        });
        socket.apply(address, Fault::Refused).await.unwrap();
        let ListenerSocket::Closed(held) = &socket else { unreachable!() };
        assert_eq!(local(held).unwrap(), address);
    }
}
