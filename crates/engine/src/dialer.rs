//! The one face of everything that carries traffic.

use std::{fmt::Debug, io};

use async_trait::async_trait;
use hezar_core::{Stage, Target};

use crate::{Attempt, BoxDatagram, BoxStream, Cause, DialError, SystemDialer};

/// Opens streams and datagram associations: the operating system, one proxy protocol, a chain of them, or a fake.
#[async_trait]
pub trait Dialer: Debug + Send + Sync {
    /// Opens a stream to `target`.
    ///
    /// # Errors
    /// [`DialError`]: the stage that failed and why. The attempt's deadline bounds the whole call.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError>;

    /// Opens an association that sends datagrams to any target.
    ///
    /// # Errors
    /// [`DialError`]; [`Cause::Unsupported`] unless the protocol carries datagrams.
    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let _ = attempt;
        Err(DialError::new(Stage::Handshake, Cause::Unsupported("datagrams")))
    }

    /// This machine's own sockets, if that is what the dialer is: QUIC needs a UDP socket, not an association.
    fn system(&self) -> Option<&SystemDialer> {
        None
    }
}

/// Datagrams to and from any target, over one association.
#[async_trait]
pub trait Datagram: Send + Sync {
    /// Sends one datagram.
    ///
    /// # Errors
    /// When the association is gone or the datagram is too large.
    async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()>;

    /// Receives one datagram into `buffer`; what does not fit is cut off. Returns its length and who sent it.
    ///
    /// # Errors
    /// When the association is gone.
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)>;
}
