//! UDP through a TUIC server: a session on the shared connection, in QUIC's datagrams or in small streams.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use hezar_core::{Stage, Target, UdpRelayMode};
use parking_lot::Mutex;

use super::{
    session::Session,
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
/// The most packets in pieces whose senders are remembered.
const MOST_SENDERS: usize = 8;

/// One session.
#[derive(Debug)]
pub(super) struct TuicDatagram {
    link: Arc<QuicConnection<Session>>,
    datagram_queue: DatagramQueue<u16, Packet>,
    incoming: Mutex<Incoming>,
    packet: AtomicU16,
    mode: UdpRelayMode,
    _lease: ConnectionGuard,
}

/// Packets in pieces, and who sent them: only the first piece says so.
#[derive(Debug, Default)]
struct Incoming {
    fragments: Fragments,
    senders: Vec<(u16, Target)>,
}

impl TuicDatagram {
    /// Opens a session; the server learns of it with the first packet.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the server takes no datagrams, or why the connection broke just now.
    pub(super) fn open(
        link: Arc<QuicConnection<Session>>,
        lease: ConnectionGuard,
        mode: UdpRelayMode,
    ) -> Result<Self, DialError> {
        let failed = |cause| DialError::new(Stage::Handshake, cause);
        if mode == UdpRelayMode::Native && link.connection.max_datagram_size().is_none() {
            return Err(failed(Cause::Unsupported("UDP in datagrams through this server")));
        }
        // The counter is cut to the numbers that there are.
        let added = link.session.datagram_queues.add(|n| (n & 0xffff) as u16);
        let (datagram_queue, _) = added.ok_or_else(|| failed(link.end()))?;
        let packet = AtomicU16::new(rand::random());
        Ok(Self { link, datagram_queue, incoming: Mutex::default(), packet, mode, _lease: lease })
    }

    async fn send(&self, command: Bytes) -> io::Result<()> {
        match self.mode {
            UdpRelayMode::Native => Ok(self.link.send(command)?),
            UdpRelayMode::Quic => {
                let mut stream =
                    self.link.connection.open_uni().await.map_err(|error| io::Error::from(cause_of(&error)))?;
                stream.write_chunk(command).await.map_err(|_| io::Error::from(self.link.end()))?;
                // Nothing follows; the end is told or the connection is over.
                let _ = stream.finish();
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Datagram for TuicDatagram {
    async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        let (first, later) = match self.mode {
            UdpRelayMode::Native => {
                let most = self.link.room()?;
                let (first, later) = wire::headers(target);
                (most.saturating_sub(first), most.saturating_sub(later))
            }
            UdpRelayMode::Quic => (MOST_IN_STREAM, 0),
        };
        let (count, pieces) = fragments::cut(payload, first, later).ok_or(io::ErrorKind::InvalidInput)?;
        let packet = self.packet.fetch_add(1, Ordering::Relaxed);
        for (piece, part) in pieces {
            self.send(wire::packet(self.datagram_queue.id, packet, (piece, count), target, part)).await?;
        }
        Ok(())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)> {
        let mut queue = self.datagram_queue.queue.lock().await;
        loop {
            let packet = queue.recv().await.ok_or_else(|| io::Error::from(self.link.end()))?;
            if let Some((whole, sender)) = self.incoming.lock().take(packet) {
                return Ok((copy_packet(&whole, buffer), sender));
            }
        }
    }
}

impl Incoming {
    /// Takes a packet or a piece; the whole packet and its sender once both are there.
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
        // The server would notice by itself, later; so nothing waits for this.
        if let Some(Ok(mut stream)) = self.link.connection.open_uni().now_or_never() {
            let _ = stream.write_all(&wire::dissociate(self.datagram_queue.id)).now_or_never();
            let _ = stream.finish();
        }
    }
}
