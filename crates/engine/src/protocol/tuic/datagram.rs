//! An association through a TUIC server: a session on the shared connection, in datagrams of QUIC or in small streams.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use hezar_core::{Stage, Target, UdpRelayMode};
use parking_lot::Mutex;

use super::{
    session::TuicSession,
    wire::{self, Packet},
};
use crate::{
    Cause, Datagram, DialError,
    io::copy::copy_packet,
    quic::{
        ConnectionGuard, DatagramQueue, QuicConnection, cause_of,
        fragments::{self, Fragments},
    },
};

/// The longest packet in one stream, in bytes: its length is written in 16 bits.
const MOST_IN_STREAM: usize = 65_535;
/// The most fragmented packets whose senders are remembered.
const MOST_SENDERS: usize = 8;

/// An association, which is a UDP session of TUIC.
pub(super) struct TuicDatagram {
    link: Arc<QuicConnection<TuicSession>>,
    datagram_queue: DatagramQueue<u16, Packet>,
    incoming: Mutex<Incoming>,
    packet: AtomicU16,
    mode: UdpRelayMode,
    /// The last packet in a stream of its own, while the server takes no more bytes or streams.
    sending: Mutex<Option<BoxFuture<'static, io::Result<()>>>>,
    _lease: ConnectionGuard,
}

/// Fragmented packets and their senders, which only the first fragment names.
#[derive(Debug, Default)]
struct Incoming {
    fragments: Fragments,
    senders: Vec<(u16, Target)>,
}

impl TuicDatagram {
    /// Opens a session; the server learns of it with the first packet.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the server takes no datagrams, or the cause for which the connection has ended.
    pub(super) fn open(
        link: Arc<QuicConnection<TuicSession>>,
        lease: ConnectionGuard,
        mode: UdpRelayMode,
    ) -> Result<Self, DialError> {
        let failed = |cause| DialError::new(Stage::Handshake, cause);
        if mode == UdpRelayMode::Native && link.connection.max_datagram_size().is_none() {
            return Err(failed(Cause::Unsupported("UDP in datagrams through this server")));
        }
        // A session number has 16 bits, so the counter is cut to them.
        let added = link.session.datagram_queues.add(|n| (n & 0xffff) as u16);
        let (datagram_queue, _) = added.ok_or_else(|| failed(link.end()))?;
        let packet = AtomicU16::new(rand::random());
        Ok(Self {
            link,
            datagram_queue,
            incoming: Mutex::default(),
            packet,
            mode,
            sending: Mutex::new(None),
            _lease: lease,
        })
    }

    /// Sends a packet in datagrams of QUIC, in as many fragments as it needs.
    fn send_native(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        let most = self.link.room()?;
        let (first, later) = wire::headers(target);
        let (first, later) = (most.saturating_sub(first), most.saturating_sub(later));
        let (count, pieces) = fragments::cut(payload, first, later).ok_or(io::ErrorKind::InvalidInput)?;
        let packet = self.packet.fetch_add(1, Ordering::Relaxed);
        for (piece, part) in pieces {
            self.link.send(wire::packet(self.datagram_queue.id, packet, (piece, count), target, part))?;
        }
        Ok(())
    }

    /// Sends a packet in a stream of its own, after the one before.
    fn poll_send_in_stream(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if payload.len() > MOST_IN_STREAM {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        let mut sending = self.sending.lock();
        ready!(poll_sent(&mut sending, cx))?;
        let packet = self.packet.fetch_add(1, Ordering::Relaxed);
        let command = wire::packet(self.datagram_queue.id, packet, (0, 1), target, payload);
        *sending = Some(send_in_stream(Arc::clone(&self.link), command).boxed());
        // The packet counts as sent. What is left of it is sent before the next one.
        match poll_sent(&mut sending, cx) {
            Poll::Pending => Poll::Ready(Ok(())),
            sent => sent,
        }
    }
}

/// Waits for the packet that is being sent, if any is.
fn poll_sent(sending: &mut Option<BoxFuture<'static, io::Result<()>>>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let Some(packet) = sending else { return Poll::Ready(Ok(())) };
    let sent = ready!(packet.as_mut().poll(cx));
    *sending = None;
    Poll::Ready(sent)
}

async fn send_in_stream(link: Arc<QuicConnection<TuicSession>>, command: Bytes) -> io::Result<()> {
    let mut stream = link.connection.open_uni().await.map_err(|error| io::Error::from(cause_of(&error)))?;
    stream.write_chunk(command).await.map_err(|_| io::Error::from(link.end()))?;
    // Nothing follows. Finishing fails only when the connection has ended.
    let _ = stream.finish();
    Ok(())
}

impl Datagram for TuicDatagram {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        match self.mode {
            UdpRelayMode::Native => Poll::Ready(self.send_native(payload, target)),
            UdpRelayMode::Quic => self.poll_send_in_stream(cx, payload, target),
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_sent(&mut self.sending.lock(), cx)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        loop {
            let received = ready!(self.datagram_queue.poll_recv(cx));
            let packet = received.ok_or_else(|| io::Error::from(self.link.end()))?;
            if let Some((whole, sender)) = self.incoming.lock().take(packet) {
                return Poll::Ready(Ok((copy_packet(&whole, buffer), sender)));
            }
        }
    }
}

impl Incoming {
    /// Takes a packet or a fragment. Returns the whole packet and its sender once both are known.
    fn take(&mut self, packet: Packet) -> Option<(Bytes, Target)> {
        let Packet { packet: id, pieces, piece, address, payload, .. } = packet;
        if let Some(address) = address {
            self.senders.retain(|(other, _)| *other != id);
            if self.senders.len() >= MOST_SENDERS {
                self.senders.remove(0);
            }
            self.senders.push((id, address));
        }
        let whole = self.fragments.take(id, piece, pieces, payload)?;
        let place = self.senders.iter().position(|(other, _)| *other == id)?;
        Some((whole, self.senders.remove(place).1))
    }
}

impl Drop for TuicDatagram {
    fn drop(&mut self) {
        // Nothing waits for this, since the server also ends idle sessions by itself.
        if let Some(Ok(mut stream)) = self.link.connection.open_uni().now_or_never() {
            let _ = stream.write_all(&wire::dissociate(self.datagram_queue.id)).now_or_never();
            let _ = stream.finish();
        }
    }
}
