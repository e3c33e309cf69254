//! A UDP socket that disguises its packets, or sends them to another port than QUIC knows.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt, io,
    io::IoSliceMut,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use hezar_core::Obfs2;
use parking_lot::Mutex;
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::time::Instant;

use super::{
    gecko::{self, Pieces, Sizes},
    salamander::{SALT, Salamander},
};
use crate::{BuildError, io::copy::copy_packet};

thread_local! {
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How packets are disguised on the wire.
#[derive(Clone)]
pub(crate) struct Disguise {
    salamander: Salamander,
    gecko: Option<Sizes>,
}

impl Disguise {
    /// The disguise that a node describes.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] for impossible packet sizes.
    pub(crate) fn new(obfs: &Obfs2) -> Result<Self, BuildError> {
        let of = |password: &hezar_core::Secret| Salamander::new(password.expose());
        match obfs {
            Obfs2::Salamander { password } => Ok(Self { salamander: of(password), gecko: None }),
            Obfs2::Gecko { password, min_packet, max_packet } => {
                let sizes = Sizes::new(*min_packet, *max_packet);
                let sizes = sizes.ok_or(BuildError::Invalid("gecko's packet sizes are no range within 1 to 2048"))?;
                Ok(Self { salamander: of(password), gecko: Some(sizes) })
            }
        }
    }
}

impl fmt::Debug for Disguise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.gecko.is_some() { "Gecko" } else { "Salamander" })
    }
}

/// Removes both disguises from packets; for the fuzz targets. The first two bytes are the packets' common length.
#[cfg(feature = "fuzzing")]
pub(crate) fn uncover(data: &[u8]) {
    let Some((&[high, low], packets)) = data.split_first_chunk::<2>() else { return };
    let (salamander, mut pieces) = (Salamander::new("a-lizard-on-the-wall"), Pieces::default());
    let stride = usize::from(u16::from_be_bytes([high, low]));
    let mut together = packets.to_vec();
    let mut meta = RecvMeta { len: together.len(), stride, ..RecvMeta::default() };
    DisguisedSocket::uncover(&salamander, &mut together, &mut meta);
    for packet in packets.chunks(stride.max(1)) {
        std::hint::black_box(pieces.take(packet, Instant::now()));
    }
}

/// The port that QUIC knows, and the one that packets really go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) believed: u16,
    pub(super) real: u16,
}

/// The socket.
#[derive(Debug)]
pub(super) struct DisguisedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    disguise: Option<Disguise>,
    ports: Option<Ports>,
    message: AtomicU8,
    received: Mutex<Received>,
}

/// The reassembly of Gecko's incoming packets.
#[derive(Debug, Default)]
struct Received {
    pieces: Pieces,
    whole: VecDeque<(Vec<u8>, RecvMeta)>,
}

impl DisguisedSocket {
    /// Puts a disguise on a socket, and other ports.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, disguise: Option<Disguise>, ports: Option<Ports>) -> Self {
        Self { inner, disguise, ports, message: AtomicU8::new(rand::random()), received: Mutex::default() }
    }

    fn send(&self, disguise: &Disguise, transmit: &Transmit<'_>) -> io::Result<()> {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        OUT.with_borrow_mut(|out| {
            out.clear();
            let long = transmit.contents.first().is_some_and(|first| gecko::is_long(*first));
            let Some(sizes) = disguise.gecko.filter(|_| long) else {
                for packet in transmit.contents.chunks(size) {
                    disguise.salamander.put(rand::random(), packet, out);
                }
                let segment_size = transmit.segment_size.map(|size| size + SALT);
                return self.inner.try_send(&Transmit { contents: out, segment_size, ..transmit.clone() });
            };
            let message = self.message.fetch_add(1, Ordering::Relaxed);
            let mut result = Ok(());
            let mut first = true;
            gecko::cut(transmit.contents, message, sizes, &mut rand::rng(), |piece| {
                out.clear();
                disguise.salamander.put(rand::random(), piece, out);
                let sent = self.inner.try_send(&Transmit { contents: out, segment_size: None, ..transmit.clone() });
                // When the socket is full after the first piece, the packet counts as lost, and QUIC sends it again.
                if std::mem::take(&mut first) {
                    result = sent;
                }
            });
            result
        })
    }

    /// Removes Salamander from every packet in `buffer`; the packets stay adjacent.
    pub(super) fn uncover(salamander: &Salamander, buffer: &mut [u8], meta: &mut RecvMeta) {
        let stride = meta.stride.max(1);
        let (mut from, mut to) = (0, 0);
        while from < meta.len {
            let end = (from + stride).min(meta.len);
            let length = match buffer.get_mut(from..end).and_then(|packet| salamander.open(packet)) {
                Some(packet) => packet.len(),
                None => break,
            };
            buffer.copy_within(end - length..end, to);
            to += length;
            from = end;
        }
        meta.len = to;
        meta.stride = stride.saturating_sub(SALT);
    }

    fn receive_gecko(
        &self,
        salamander: &Salamander,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut received = self.received.lock();
        loop {
            let mut given = 0;
            for (buffer, meta) in bufs.iter_mut().zip(metas.iter_mut()) {
                let Some((packet, its)) = received.whole.pop_front() else { break };
                let length = copy_packet(&packet, buffer);
                *meta = RecvMeta { len: length, stride: length, ..its };
                given += 1;
            }
            if given > 0 {
                return Poll::Ready(Ok(given));
            }
            let count = ready!(self.inner.poll_recv(cx, bufs, metas))?;
            for (buffer, meta) in bufs.iter_mut().zip(metas.iter()).take(count) {
                let packets = buffer.get_mut(..meta.len).unwrap_or_default();
                for packet in packets.chunks_mut(meta.stride.max(1)) {
                    let Some(packet) = salamander.open(packet) else { continue };
                    let whole = match packet.first() {
                        Some(first) if gecko::is_long(*first) => received.pieces.take(packet, Instant::now()),
                        _ => Some(packet.to_vec()),
                    };
                    received.whole.extend(whole.map(|whole| (whole, *meta)));
                }
            }
        }
    }
}

impl AsyncUdpSocket for DisguisedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut destination = transmit.destination;
        if let Some(ports) = self.ports {
            destination.set_port(ports.real);
        }
        let transmit = Transmit { destination, ..transmit.clone() };
        match &self.disguise {
            Some(disguise) => self.send(disguise, &transmit),
            None => self.inner.try_send(&transmit),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = match &self.disguise {
            Some(Disguise { salamander, gecko: Some(_) }) => ready!(self.receive_gecko(salamander, cx, bufs, metas))?,
            _ => ready!(self.inner.poll_recv(cx, bufs, metas))?,
        };
        for (buffer, meta) in bufs.iter_mut().zip(metas.iter_mut()).take(count) {
            if let Some(Disguise { salamander, gecko: None }) = &self.disguise {
                Self::uncover(salamander, buffer, meta);
            }
            if let Some(ports) = self.ports.filter(|ports| ports.real == meta.addr.port()) {
                meta.addr.set_port(ports.believed);
            }
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        if self.disguise.as_ref().is_some_and(|disguise| disguise.gecko.is_some()) {
            1
        } else {
            self.inner.max_transmit_segments()
        }
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
