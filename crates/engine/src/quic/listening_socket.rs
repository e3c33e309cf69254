//! The socket of a QUIC listener: it can be released while connections still use it, and it sends nothing where an answer would tell
//! what listens there.
//!
//! When the listener closes, another one may read from the same socket of the system at once. So this one receives nothing from then on.
//! It cannot answer a client that has missed the CONNECTION_CLOSE frame, so it sends the packets with these frames several times.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, RwLock};
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{EcnCodepoint, RecvMeta, Transmit},
};

use super::carried::AlwaysWritable;

/// The most packets that are sent again.
const MOST_CLOSE_PACKETS: usize = 32_768;

/// The socket.
#[derive(Debug)]
pub(super) struct ListeningSocket {
    /// `None` once it was released.
    inner: RwLock<Option<Arc<dyn AsyncUdpSocket>>>,
    address: SocketAddr,
    is_disguised: bool,
    /// Whether it receives: [`SILENT`], [`RECEIVING`] or [`CLOSING`].
    phase: AtomicU8,
    /// The reader that waits until the socket receives.
    reader: AtomicWaker,
    /// What was sent while the listener closes: that connections end.
    close_packets: Mutex<Vec<ClosePacket>>,
}

/// Nobody accepts yet. Another process may still read from the system's socket.
const SILENT: u8 = 0;
/// Packets are received.
const RECEIVING: u8 = 1;
/// The listener closes: nothing is received any more.
const CLOSING: u8 = 2;

/// A packet that says that a connection ends.
#[derive(Debug)]
struct ClosePacket {
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Box<[u8]>,
    segment_size: Option<usize>,
    src_ip: Option<IpAddr>,
}

impl ClosePacket {
    fn transmit(&self) -> Transmit<'_> {
        let Self { destination, ecn, contents, segment_size, src_ip } = self;
        let (destination, ecn, segment_size, src_ip) = (*destination, *ecn, *segment_size, *src_ip);
        Transmit { destination, ecn, contents, segment_size, src_ip }
    }
}

impl ListeningSocket {
    /// A socket to listen on. One that is disguised never says which versions of QUIC it speaks: it would say that to random bytes.
    ///
    /// # Errors
    /// The system does not say its address.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, is_disguised: bool) -> io::Result<Self> {
        let address = inner.local_addr()?;
        let (reader, close_packets) = Default::default();
        let phase = AtomicU8::new(SILENT);
        Ok(Self { inner: RwLock::new(Some(inner)), address, is_disguised, phase, reader, close_packets })
    }

    /// Receives from now on, unless the listener closes.
    pub(super) fn start_receiving(&self) {
        if self.phase.compare_exchange(SILENT, RECEIVING, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.reader.wake();
        }
    }

    /// Receives nothing any more, and remembers what is sent.
    pub(super) fn stop_receiving(&self) {
        self.phase.store(CLOSING, Ordering::Release);
    }

    /// Sends once more what was sent since it receives nothing.
    pub(super) fn resend_close_packets(&self) {
        let Some(inner) = self.inner() else { return };
        for packet in self.close_packets.lock().iter() {
            // One for which there is no room is lost, as packets are.
            let _ = inner.try_send(&packet.transmit());
        }
    }

    /// Sends and receives nothing any more.
    pub(super) fn release(&self) {
        let inner = self.inner.write().take();
        drop(inner);
    }

    fn remember(&self, transmit: &Transmit<'_>) {
        let mut close_packets = self.close_packets.lock();
        if close_packets.len() < MOST_CLOSE_PACKETS {
            let Transmit { destination, ecn, segment_size, src_ip, .. } = *transmit;
            close_packets.push(ClosePacket {
                destination,
                ecn,
                contents: transmit.contents.into(),
                segment_size,
                src_ip,
            });
        }
    }

    fn inner(&self) -> Option<Arc<dyn AsyncUdpSocket>> {
        self.inner.read().clone()
    }
}

/// Whether a packet is the answer to one of an unknown version (RFC 9000 §17.2.1): a long header with version 0.
fn is_version_negotiation(packet: &[u8]) -> bool {
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
        if self.phase.load(Ordering::Acquire) == CLOSING {
            self.remember(transmit);
        }
        self.inner().map_or(Ok(()), |inner| inner.try_send(transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.phase.load(Ordering::Acquire) != RECEIVING {
            self.reader.register(cx.waker());
            // It may have begun meanwhile.
            if self.phase.load(Ordering::Acquire) != RECEIVING {
                return Poll::Pending;
            }
        }
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
