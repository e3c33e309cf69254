//! QUIC connections to servers, and from clients: sockets, disguises of packets, listeners, and pools of connections to servers that
//! are opened on use, shared, and closed when idle.
//!
//! A node that nobody uses has no connection: its [`QuicPool`](pool::QuicPool) opens one for the first stream, shares it among
//! all streams and datagram associations, and closes it [`IDLE`](pool::IDLE) after the last of them has ended.

mod brutal;
mod carried;
mod clients;
mod connection;
mod datagram;
mod datagram_queues;
mod disguise;
mod driver;
mod endpoints;
mod fault;
pub(crate) mod fragments;
mod gecko;
mod listener;
mod listening_socket;
#[cfg(test)]
pub(crate) mod peer;
mod pool;
mod port_hopping;
mod salamander;
mod server;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod varint;

pub(crate) use brutal::{Promise, negotiated};
pub(crate) use clients::SharedClients;
pub(crate) use connection::{ConnectionGuard, QuicConnection};
pub(crate) use datagram::{datagram_room, send_datagram};
pub(crate) use datagram_queues::{DatagramQueue, DatagramQueues};
pub(crate) use disguise::Disguise;
#[cfg(feature = "fuzzing")]
pub(crate) use disguise::uncover;
pub(crate) use endpoints::SharedEndpoints;
pub(crate) use fault::{cause_of, cause_of_end, cause_of_read, cause_of_write};
pub use listener::QuicListener;
pub(crate) use listener::lift_limits;
pub(crate) use pool::QuicPool;
pub(crate) use port_hopping::PortHopping;
pub(crate) use server::{Dialled, QuicServer, transport_config};
pub(crate) use stream::QuicStream;
