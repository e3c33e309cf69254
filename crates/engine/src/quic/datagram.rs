//! Sends the packets of an association in datagrams of QUIC (RFC 9221).

use bytes::Bytes;
use quinn::SendDatagramError;

use super::{QuicConnection, cause_of};
use crate::Cause;

impl<S: Send + Sync + 'static> QuicConnection<S> {
    /// The longest packet that a datagram carries now.
    ///
    /// # Errors
    /// The cause for which the connection has ended.
    pub(crate) fn room(&self) -> Result<usize, Cause> {
        self.connection.max_datagram_size().ok_or_else(|| self.end())
    }

    /// Sends a packet in one datagram.
    ///
    /// # Errors
    /// Why the connection is over, or [`Cause::Unsupported`] when the server takes no datagrams.
    pub(crate) fn send(&self, packet: Bytes) -> Result<(), Cause> {
        match self.connection.send_datagram(packet) {
            // The largest packet of the path has just become smaller. This packet is lost, as UDP allows.
            Ok(()) | Err(SendDatagramError::TooLarge) => Ok(()),
            Err(SendDatagramError::ConnectionLost(lost)) => Err(cause_of(&lost)),
            Err(_) => Err(Cause::Unsupported("UDP in datagrams through this server")),
        }
    }
}
