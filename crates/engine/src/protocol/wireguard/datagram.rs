//! An association inside a tunnel: one UDP socket of the stack.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::Poll,
};

use async_trait::async_trait;
use hezar_core::{Host, Target};
use smoltcp::{
    iface::SocketHandle,
    socket::udp::{RecvError, SendError, Socket},
    wire::IpEndpoint,
};

use super::tunnel::Tunnel;
use crate::{Cause, Datagram, io::copy::copy_packet};

/// The association. Dropping it closes it.
pub(super) struct TunnelDatagram {
    tunnel: Arc<Tunnel>,
    handle: SocketHandle,
}

impl TunnelDatagram {
    /// Opens it.
    ///
    /// # Errors
    /// [`Cause::Closed`] when the tunnel is over.
    pub(super) fn open(tunnel: Arc<Tunnel>) -> Result<Self, Cause> {
        let handle = {
            let mut stack = tunnel.stack.lock();
            if stack.over {
                return Err(Cause::Closed);
            }
            stack.associate()?
        };
        Ok(Self { tunnel, handle })
    }

    /// Sends to an address.
    ///
    /// # Errors
    /// When the datagram is larger than the tunnel allows, or the tunnel is over.
    pub(super) async fn send(&self, payload: &[u8], target: SocketAddr) -> io::Result<()> {
        poll_fn(|cx| {
            let mut stack = self.tunnel.stack.lock();
            if payload.len() > stack.datagram_room(target.ip()) {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidInput)));
            }
            if !stack.speaks(target.ip()) {
                return Poll::Ready(Err(io::ErrorKind::NetworkUnreachable.into()));
            }
            let socket = stack.sockets.get_mut::<Socket<'_>>(self.handle);
            if !socket.is_open() {
                return Poll::Ready(Err(Cause::Closed.into()));
            }
            match socket.send_slice(payload, IpEndpoint::from(target)) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(SendError::BufferFull) => {
                    socket.register_send_waker(cx.waker());
                    Poll::Pending
                }
                Err(SendError::Unaddressable) => Poll::Ready(Err(io::ErrorKind::NetworkUnreachable.into())),
            }
        })
        .await?;
        self.tunnel.changed.notify_one();
        Ok(())
    }

    /// Receives one datagram and who sent it; what does not fit is cut off.
    ///
    /// # Errors
    /// When the tunnel is over.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        poll_fn(|cx| {
            let mut stack = self.tunnel.stack.lock();
            let socket = stack.sockets.get_mut::<Socket<'_>>(self.handle);
            if !socket.is_open() {
                return Poll::Ready(Err(Cause::Closed.into()));
            }
            match socket.recv() {
                Ok((payload, from)) => {
                    let length = copy_packet(payload, buffer);
                    let from = SocketAddr::new(IpAddr::from(from.endpoint.addr), from.endpoint.port);
                    Poll::Ready(Ok((length, from)))
                }
                Err(RecvError::Exhausted | RecvError::Truncated) => {
                    socket.register_recv_waker(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

#[async_trait]
impl Datagram for TunnelDatagram {
    async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        let address = match target.host() {
            Host::Ip(address) => *address,
            Host::Name(name) => self.tunnel.names.resolve(&self.tunnel, name).await?,
        };
        self.send(payload, SocketAddr::new(address, target.port())).await
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)> {
        loop {
            let (length, from) = self.receive(buffer).await?;
            // A datagram from port 0 cannot be answered; there is nothing to tell about it.
            if let Ok(target) = Target::try_from(from) {
                return Ok((length, target));
            }
        }
    }
}

impl Drop for TunnelDatagram {
    fn drop(&mut self) {
        self.tunnel.stack.lock().forget(self.handle);
    }
}
