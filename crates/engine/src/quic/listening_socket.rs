//! The socket of a QUIC listener: it can be let go while connections still use it, and it keeps silent where an answer would tell
//! what listens there.

use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::RwLock;
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};

use super::carried::AlwaysWritable;

/// The socket.
#[derive(Debug)]
pub(super) struct ListeningSocket {
    /// `None` when it was let go.
    inner: RwLock<Option<Arc<dyn AsyncUdpSocket>>>,
    address: SocketAddr,
    is_disguised: bool,
}

impl ListeningSocket {
    /// A socket to listen on. One that is disguised never says which versions of QUIC it speaks: it would say that to random bytes.
    ///
    /// # Errors
    /// The system does not say its address.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, is_disguised: bool) -> io::Result<Self> {
        let address = inner.local_addr()?;
        Ok(Self { inner: RwLock::new(Some(inner)), address, is_disguised })
    }

    /// Sends and receives nothing any more.
    pub(super) fn release(&self) {
        let inner = self.inner.write().take();
        drop(inner);
    }

    fn inner(&self) -> Option<Arc<dyn AsyncUdpSocket>> {
        self.inner.read().clone()
    }
}

/// Whether a packet is the answer to one of an unknown version (RFC 9000 §17.2.1): a long header with version 0.
pub(super) fn is_version_negotiation(packet: &[u8]) -> bool {
    matches!(packet, [first, 0, 0, 0, 0, ..] if first & 0x80 != 0)
}

impl AsyncUdpSocket for ListeningSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        match self.inner() {
            Some(inner) => inner.create_io_poller(),
            None => Box::pin(AlwaysWritable),
        }
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.is_disguised && is_version_negotiation(transmit.contents) {
            return Ok(());
        }
        self.inner().map_or(Ok(()), |inner| inner.try_send(transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner().map_or(Poll::Pending, |inner| inner.poll_recv(cx, bufs, metas))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner().map_or(1, |inner| inner.max_transmit_segments())
    }

    fn max_receive_segments(&self) -> usize {
        self.inner().map_or(1, |inner| inner.max_receive_segments())
    }

    fn may_fragment(&self) -> bool {
        self.inner().is_none_or(|inner| inner.may_fragment())
    }
}
