//! A UDP socket that sends all packets of one turn of a quinn driver in one system call.
//!
//! quinn passes 10 packets to a system call, but the kernel takes 64 KiB (generic segmentation offload). Packets to the same
//! address are gathered until the turn ends. This also wakes a receiver on this machine less often.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{EcnCodepoint, RecvMeta, Transmit},
};

/// The most bytes in one system call: less than the largest UDP packet.
const MOST_BYTES: usize = 64_000;

thread_local! {
    static TURN: RefCell<Turn> = RefCell::default();
}

/// One turn of a driver on this thread. Gathered packets are sent when it is dropped, at the latest.
#[derive(Debug)]
pub(super) struct GatheringTurn(());

impl GatheringTurn {
    /// Starts to gather the packets that this thread sends.
    pub(super) fn begin() -> Self {
        TURN.with_borrow_mut(|turn| turn.active = true);
        Self(())
    }
}

impl Drop for GatheringTurn {
    fn drop(&mut self) {
        TURN.with_borrow_mut(|turn| {
            turn.active = false;
            turn.flush();
        });
    }
}

/// The packets that this thread has gathered.
#[derive(Debug, Default)]
struct Turn {
    active: bool,
    gathered: Option<(Arc<Shared>, Packets)>,
    /// An empty buffer for the next packets.
    room: Vec<u8>,
}

/// Packets to the same address. All are as long as the first one, but the last one may be shorter.
#[derive(Debug)]
struct Packets {
    to: (SocketAddr, Option<EcnCodepoint>, Option<IpAddr>),
    size: usize,
    contents: Vec<u8>,
}

impl Packets {
    fn transmit(&self) -> Transmit<'_> {
        let (destination, ecn, src_ip) = self.to;
        let segment_size = (self.contents.len() > self.size).then_some(self.size);
        Transmit { destination, ecn, contents: &self.contents, segment_size, src_ip }
    }

    /// Adds packets, if they fit.
    fn add(&mut self, transmit: &Transmit<'_>, most_segments: usize) -> bool {
        let length = self.contents.len() + transmit.contents.len();
        let fits = self.to == place_of(transmit)
            && self.contents.len().is_multiple_of(self.size)
            && transmit.segment_size.map_or(transmit.contents.len() <= self.size, |size| size == self.size)
            && length <= MOST_BYTES
            && length.div_ceil(self.size) <= most_segments;
        if fits {
            self.contents.extend_from_slice(transmit.contents);
        }
        fits
    }
}

const fn place_of(transmit: &Transmit<'_>) -> (SocketAddr, Option<EcnCodepoint>, Option<IpAddr>) {
    (transmit.destination, transmit.ecn, transmit.src_ip)
}

impl Turn {
    fn flush(&mut self) {
        if let Some((socket, packets)) = self.gathered.take()
            && let Some(Packets { mut contents, .. }) = socket.send_or_keep(packets)
        {
            contents.clear();
            self.room = contents;
        }
    }

    fn send(&mut self, socket: &Arc<Shared>, transmit: &Transmit<'_>) -> io::Result<()> {
        if let Some((other, packets)) = &mut self.gathered
            && Arc::ptr_eq(other, socket)
            && packets.add(transmit, socket.inner.max_transmit_segments())
        {
            return Ok(());
        }
        self.flush();
        socket.send_kept()?;
        // A single packet is usually the only one of its turn.
        let Some(size) = transmit.segment_size.filter(|size| self.active && *size > 0) else {
            return socket.inner.try_send(transmit);
        };
        let mut contents = std::mem::take(&mut self.room);
        contents.extend_from_slice(transmit.contents);
        self.gathered = Some((Arc::clone(socket), Packets { to: place_of(transmit), size, contents }));
        Ok(())
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct GatheringSocket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn AsyncUdpSocket>,
    /// Packets for which there was no room when their turn ended.
    kept: Mutex<Option<Packets>>,
}

impl GatheringSocket {
    /// A socket that gathers packets for `inner`.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>) -> Self {
        Self(Arc::new(Shared { inner, kept: Mutex::default() }))
    }
}

impl Shared {
    /// Sends packets, or keeps them until the socket has room. Returns them after they were sent, so that the buffer can be reused.
    fn send_or_keep(self: &Arc<Self>, packets: Packets) -> Option<Packets> {
        let full = |sent: io::Result<()>| sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        let mut kept = self.kept.lock();
        // When other packets are kept already, these count as lost, and QUIC sends them again.
        if kept.is_some() || !full(self.inner.try_send(&packets.transmit())) {
            return Some(packets);
        }
        *kept = Some(packets);
        drop(kept);
        let socket = Arc::clone(self);
        tokio::spawn(async move {
            let mut poller = Arc::clone(&socket.inner).create_io_poller();
            while poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.is_ok() && full(socket.send_kept()) {}
        });
        None
    }

    /// Sends the packets that are kept.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is still no room.
    fn send_kept(&self) -> io::Result<()> {
        let mut kept = self.kept.lock();
        let Some(packets) = &*kept else { return Ok(()) };
        match self.inner.try_send(&packets.transmit()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            _ => {
                *kept = None;
                Ok(())
            }
        }
    }
}

impl AsyncUdpSocket for GatheringSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.0.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        TURN.with_borrow_mut(|turn| turn.send(&self.0, transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.0.inner.poll_recv(cx, bufs, metas)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.0.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.inner.may_fragment()
    }
}
