//! Datagrams under the flow that keeps QUIC out, so that clients use TCP, which Vision is made for.

use std::io;

use async_trait::async_trait;
use hezar_core::Target;

use crate::{Cause, Datagram};

/// Refuses datagrams to port 443.
pub(in super::super) struct No443<D>(pub(in super::super) D);

#[async_trait]
impl<D: Datagram> Datagram for No443<D> {
    async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        if target.port() == 443 {
            // Of this datagram alone: the association goes on.
            let refused = Cause::Unsupported("UDP to port 443 over this flow");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, refused));
        }
        self.0.send_to(payload, target).await
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)> {
        self.0.recv_from(buffer).await
    }
}
