//! An association inside a tunnel, which is one UDP socket of the stack.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::FutureExt;
use hezar_core::{Host, Target};
use smoltcp::{
    iface::SocketHandle,
    socket::udp::{RecvError, SendError, Socket},
    wire::IpEndpoint,
};

use super::tunnel::Tunnel;
use crate::{
    Cause, Datagram,
    io::{copy::copy_packet, name_lookup::NameLookup},
};

/// The association. Dropping it closes it.
pub(super) struct TunnelDatagram {
    tunnel: Arc<Tunnel>,
    handle: SocketHandle,
    lookup: NameLookup,
}

impl TunnelDatagram {
    /// Opens an association.
    ///
    /// # Errors
    /// [`Cause::Closed`] when the tunnel has ended.
    pub(super) fn open(tunnel: Arc<Tunnel>) -> Result<Self, Cause> {
        let handle = {
            let mut stack = tunnel.stack.lock();
            if stack.over {
                return Err(Cause::Closed);
            }
            stack.associate()?
        };
        Ok(Self { tunnel, handle, lookup: NameLookup::default() })
    }

    /// Sends to an address.
    ///
    /// # Errors
    /// When the datagram is larger than the tunnel allows, or the tunnel has ended.
    pub(super) async fn send(&self, payload: &[u8], target: SocketAddr) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx, payload, target)).await
    }

    fn poll_send(&self, cx: &mut Context<'_>, payload: &[u8], target: SocketAddr) -> Poll<io::Result<()>> {
        let sent = {
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
            let sent = socket.send_slice(payload, IpEndpoint::from(target));
            if sent == Err(SendError::BufferFull) {
                socket.register_send_waker(cx.waker());
            }
            sent
        };
        match sent {
            Ok(()) => {
                self.tunnel.changed.notify_one();
                Poll::Ready(Ok(()))
            }
            Err(SendError::BufferFull) => Poll::Pending,
            Err(SendError::Unaddressable) => Poll::Ready(Err(io::ErrorKind::NetworkUnreachable.into())),
        }
    }

    /// Receives one datagram and its sender. What does not fit into `buffer` is cut off.
    ///
    /// # Errors
    /// When the tunnel has ended.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        poll_fn(|cx| self.poll_receive(cx, buffer)).await
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
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
    }

    /// The address of a target; a name is looked up through the tunnel.
    fn poll_address(&self, cx: &mut Context<'_>, target: &Target) -> Poll<io::Result<SocketAddr>> {
        let name = match target.host() {
            Host::Ip(address) => return Poll::Ready(Ok(SocketAddr::new(*address, target.port()))),
            Host::Name(name) => name,
        };
        self.lookup.poll(cx, target, || {
            let (tunnel, name, port) = (Arc::clone(&self.tunnel), name.clone(), target.port());
            async move { Ok(SocketAddr::new(tunnel.names.resolve(&tunnel, &name).await?, port)) }.boxed()
        })
    }
}

impl Datagram for TunnelDatagram {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        let address = ready!(self.poll_address(cx, target))?;
        self.poll_send(cx, payload, address)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        loop {
            let (length, from) = ready!(self.poll_receive(cx, buffer))?;
            // A datagram from port 0 cannot be answered, so it is dropped.
            if let Ok(target) = Target::try_from(from) {
                return Poll::Ready(Ok((length, target)));
            }
        }
    }
}

impl Drop for TunnelDatagram {
    fn drop(&mut self) {
        self.tunnel.stack.lock().forget(self.handle);
    }
}
