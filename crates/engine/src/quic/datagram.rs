//! The packets of an association in QUIC's datagrams.

use bytes::Bytes;
use quinn::SendDatagramError;

use super::{QuicConnection, cause_of};
use crate::Cause;

impl<S: Send + Sync + 'static> QuicConnection<S> {
    /// The longest packet that a datagram carries now.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn room(&self) -> Result<usize, Cause> {
        self.connection.max_datagram_size().ok_or_else(|| self.end())
    }

    /// Sends a packet in a datagram.
    ///
    /// # Errors
    /// Why the connection is over, or [`Cause::Unsupported`] when the server takes no datagrams.
    pub(crate) fn send(&self, packet: Bytes) -> Result<(), Cause> {
        match self.connection.send_datagram(packet) {
            // The path's largest packet has just become smaller: the packet is lost, as UDP allows.
            Ok(()) | Err(SendDatagramError::TooLarge) => Ok(()),
            Err(SendDatagramError::ConnectionLost(lost)) => Err(cause_of(&lost)),
            Err(_) => Err(Cause::Unsupported("UDP in datagrams through this server")),
        }
    }
}
