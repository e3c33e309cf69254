//! UDP through a Hysteria 2 server: a session on the shared connection.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    task::{Context, Poll, ready},
};

use hezar_core::{Stage, Target};
use parking_lot::Mutex;

use super::{
    session::{Hysteria2Session, deliver},
    wire::{self, Message},
};
use crate::{
    Cause, Datagram, DialError,
    io::copy::copy_packet,
    quic::{
        ConnectionGuard, DatagramQueue, QuicConnection,
        fragments::{self, Fragments},
    },
};

/// An association, which is a UDP session of Hysteria 2.
#[derive(Debug)]
pub(super) struct Hysteria2Datagram {
    link: Arc<QuicConnection<Hysteria2Session>>,
    datagram_queue: DatagramQueue<u32, Message>,
    fragments: Mutex<Fragments>,
    packet: AtomicU16,
    _lease: ConnectionGuard,
}

impl Hysteria2Datagram {
    /// Opens a session; the server learns of it with the first datagram.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the server carries no UDP, or the cause for which the connection has ended.
    pub(super) fn open(link: Arc<QuicConnection<Hysteria2Session>>, lease: ConnectionGuard) -> Result<Self, DialError> {
        let failed = |cause| DialError::new(Stage::Handshake, cause);
        if !link.session.udp || link.connection.max_datagram_size().is_none() {
            return Err(failed(Cause::Unsupported("UDP through this server")));
        }
        let (datagram_queue, unread) = link.session.datagram_queues.add(|n| n).ok_or_else(|| failed(link.end()))?;
        if unread {
            tokio::spawn(deliver(link.connection.clone(), Arc::clone(&link.session.datagram_queues)));
        }
        Ok(Self {
            link,
            datagram_queue,
            fragments: Mutex::default(),
            packet: AtomicU16::new(rand::random()),
            _lease: lease,
        })
    }
}

impl Hysteria2Datagram {
    fn send(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        let address = target.to_string();
        let room = self.link.room()?.saturating_sub(wire::header(&address));
        let (count, pieces) = fragments::cut(payload, room, room).ok_or(io::ErrorKind::InvalidInput)?;
        // Packet number 0 is used for packets that are sent whole.
        let packet = if count == 1 { 0 } else { self.packet.fetch_add(1, Ordering::Relaxed).max(1) };
        for (piece, part) in pieces {
            self.link.send(wire::message(self.datagram_queue.id, packet, (piece, count), &address, part))?;
        }
        Ok(())
    }
}

impl Datagram for Hysteria2Datagram {
    fn poll_send_to(&self, _: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        Poll::Ready(self.send(payload, target))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        loop {
            let received = ready!(self.datagram_queue.poll_recv(cx));
            let message = received.ok_or_else(|| io::Error::from(self.link.end()))?;
            let Message { packet, piece, pieces, address, payload, .. } = message;
            let whole = self.fragments.lock().take(packet, piece, pieces, payload);
            if let Some(whole) = whole {
                return Poll::Ready(Ok((copy_packet(&whole, buffer), address)));
            }
        }
    }
}
