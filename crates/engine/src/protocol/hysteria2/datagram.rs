//! UDP over a Hysteria 2 connection: one session, at the client's or at the server's end.

use std::{
    fmt, io,
    sync::atomic::{AtomicU16, Ordering},
    task::{Context, Poll, ready},
};

use hezar_core::Target;
use parking_lot::Mutex;
use quinn::Connection;

use super::wire::{self, Message};
use crate::{
    Datagram,
    io::copy::copy_packet,
    quic::{
        DatagramQueue, cause_of_end, datagram_room,
        fragments::{self, Fragments},
        send_datagram,
    },
};

/// An association, which is a UDP session of Hysteria 2.
pub(super) struct Hysteria2Datagram<K> {
    connection: Connection,
    datagram_queue: DatagramQueue<u32, Message>,
    fragments: Mutex<Fragments>,
    packet: AtomicU16,
    /// What keeps the connection open.
    _keeps: K,
}

impl<K> fmt::Debug for Hysteria2Datagram<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hysteria2Datagram").field("session", &self.datagram_queue.id).finish_non_exhaustive()
    }
}

impl<K> Hysteria2Datagram<K> {
    /// The session whose datagrams come out of a queue, over a connection that `keeps` keeps open.
    pub(super) fn new(connection: Connection, datagram_queue: DatagramQueue<u32, Message>, keeps: K) -> Self {
        let packet = AtomicU16::new(rand::random());
        Self { connection, datagram_queue, fragments: Mutex::default(), packet, _keeps: keeps }
    }

    fn send(&self, payload: &[u8], address: &Target) -> io::Result<()> {
        let address = address.to_string();
        let room = datagram_room(&self.connection)?.saturating_sub(wire::header(&address));
        let (count, pieces) = fragments::cut(payload, room, room).ok_or(io::ErrorKind::InvalidInput)?;
        // Packet number 0 is used for packets that are sent whole.
        let packet = if count == 1 { 0 } else { self.packet.fetch_add(1, Ordering::Relaxed).max(1) };
        for (piece, part) in pieces {
            let message = wire::message(self.datagram_queue.id, packet, (piece, count), &address, part);
            send_datagram(&self.connection, message)?;
        }
        Ok(())
    }
}

impl<K: Send + Sync> Datagram for Hysteria2Datagram<K> {
    fn poll_send_to(&self, _: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        Poll::Ready(self.send(payload, target))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        loop {
            let received = ready!(self.datagram_queue.poll_recv(cx));
            let message = received.ok_or_else(|| io::Error::from(cause_of_end(&self.connection)))?;
            let Message { packet, piece, pieces, address, payload, .. } = message;
            let whole = self.fragments.lock().take(packet, piece, pieces, payload);
            if let Some(whole) = whole {
                return Poll::Ready(Ok((copy_packet(&whole, buffer), address)));
            }
        }
    }
}
