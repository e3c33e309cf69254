//! The listening socket of a server, which a fault can close while its port stays taken.

use std::{io, net::SocketAddr};

use socket2::Socket;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    Fault,
    address::{bind, listen},
};

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
    pub(crate) fn apply(&mut self, address: SocketAddr, fault: Fault) -> io::Result<()> {
        match (&self, fault == Fault::Refused) {
            (Self::Open(_), true) => {
                let spare = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
                // The listener has to go before its port can be taken again.
                *self = Self::Closed(spare);
                *self = Self::Closed(bind(address)?);
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
