//! The trait of everything that carries UDP: an association that sends datagrams to any target and receives from any.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use hezar_core::Target;

/// Datagrams to and from any target, over one association.
///
/// It is polled, so that no datagram costs an allocation for a future. One task at a time sends and one at a time
/// receives, perhaps the same one: each direction wakes the task that polled it last.
///
/// Datagrams may be lost, doubled and reordered on their way, as UDP allows. Between caller and association nothing is
/// lost or doubled: `Poll::Pending` says that the datagram was not taken, or that none was given, and the next call may
/// be about another one. So every call may be given up at any time.
pub trait Datagram: Send + Sync {
    /// Takes one datagram to send. What is taken may stay in a buffer until [`Datagram::poll_flush`] or the next call.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when only this datagram cannot be sent (it is too large, for example) and the
    /// association goes on; else the association is gone.
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>>;

    /// Waits until everything that was taken has left the association's buffers.
    ///
    /// # Errors
    /// When the association is gone.
    fn poll_flush(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Receives one datagram into `buffer`; what does not fit is cut off. Gives its length and who sent it.
    ///
    /// # Errors
    /// When the association is gone.
    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>>;
}

impl dyn Datagram + '_ {
    /// Sends one datagram.
    ///
    /// Cancel safe: when it is given up, the datagram was either not taken or it leaves, whole, with the next one.
    ///
    /// # Errors
    /// As [`Datagram::poll_send_to`].
    pub async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        poll_fn(|cx| self.poll_send_to(cx, payload, target)).await?;
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Receives one datagram into `buffer`; what does not fit is cut off. Returns its length and who sent it.
    ///
    /// Cancel safe: when it is given up, no datagram was received.
    ///
    /// # Errors
    /// When the association is gone.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)> {
        poll_fn(|cx| self.poll_recv_from(cx, buffer)).await
    }
}

/// An open datagram association, whatever carries it.
pub type BoxDatagram = Box<dyn Datagram>;
