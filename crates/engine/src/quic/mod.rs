//! QUIC to a server: the sockets, the disguises of packets, and connections that are opened on use, shared and closed
//! when idle.
//!
//! A node costs nothing while nobody uses it: its [`Links`](links::Links) open a connection for the first stream, share
//! it among all streams and datagram associations, and close it [`IDLE`](links::IDLE) after the last of them is gone.

mod brutal;
mod carried;
mod datagram;
mod disguise;
mod fault;
pub(crate) mod fragments;
mod gecko;
mod hop;
mod inboxes;
mod links;
#[cfg(test)]
pub(crate) mod peer;
mod salamander;
mod server;
mod sockets;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod varint;

pub(crate) use brutal::{Promise, negotiated};
pub(crate) use disguise::Disguise;
pub(crate) use disguise::uncover;
pub(crate) use fault::{cause_of, cause_of_write};
pub(crate) use hop::Hop;
pub(crate) use inboxes::{Inbox, Inboxes};
pub(crate) use links::{Lease, Link, Links};
pub(crate) use server::{Dialled, Server, transport};
pub(crate) use sockets::Sockets;
pub(crate) use stream::QuicStream;
