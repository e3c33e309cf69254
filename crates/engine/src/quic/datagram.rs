//! Sends the packets of an association in datagrams of QUIC (RFC 9221).

use bytes::Bytes;
use quinn::{Connection, SendDatagramError};

use super::{QuicConnection, cause_of, cause_of_end};
use crate::Cause;

impl<S: Send + Sync + 'static> QuicConnection<S> {
    /// The longest packet that a datagram carries now.
    ///
    /// # Errors
    /// The cause for which the connection has ended.
    pub(crate) fn room(&self) -> Result<usize, Cause> {
        datagram_room(&self.connection)
    }

    /// Sends a packet in one datagram.
    ///
    /// # Errors
    /// Why the connection is over, or [`Cause::Unsupported`] when the server takes no datagrams.
    pub(crate) fn send(&self, packet: Bytes) -> Result<(), Cause> {
        send_datagram(&self.connection, packet)
    }
}

/// The longest packet that a datagram of a connection carries now.
///
/// # Errors
/// The cause for which the connection has ended.
pub(crate) fn datagram_room(connection: &Connection) -> Result<usize, Cause> {
    connection.max_datagram_size().ok_or_else(|| cause_of_end(connection))
}

/// Sends a packet in one datagram of a connection.
///
/// # Errors
/// Why the connection is over, or [`Cause::Unsupported`] when the other side takes no datagrams.
pub(crate) fn send_datagram(connection: &Connection, packet: Bytes) -> Result<(), Cause> {
    match connection.send_datagram(packet) {
        // The largest packet of the path has just become smaller. This packet is lost, as UDP allows.
        Ok(()) | Err(SendDatagramError::TooLarge) => Ok(()),
        Err(SendDatagramError::ConnectionLost(lost)) => Err(cause_of(&lost)),
        Err(_) => Err(Cause::Unsupported("UDP in datagrams through this server")),
    }
}
