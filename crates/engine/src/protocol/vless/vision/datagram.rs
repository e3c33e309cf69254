//! Datagrams with the flow that blocks QUIC, so that browsers use TCP, for which Vision is made.

use std::{
    io,
    task::{Context, Poll},
};

use hezar_core::Target;

use crate::{Cause, Datagram};

/// An association that refuses datagrams to port 443.
pub(in super::super) struct No443<D>(pub(in super::super) D);

impl<D: Datagram> Datagram for No443<D> {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if target.port() == 443 {
            // Only this datagram fails; the association goes on.
            let refused = Cause::Unsupported("UDP to port 443 over this flow");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, refused)));
        }
        self.0.poll_send_to(cx, payload, target)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        self.0.poll_recv_from(cx, buffer)
    }
}
