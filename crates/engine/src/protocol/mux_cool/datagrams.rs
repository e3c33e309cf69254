//! A session of mux.cool that carries datagrams.

use std::{
    io,
    task::{Context, Poll, ready},
};

use hezar_core::Target;

use super::channel::Channel;
use crate::{Cause, Datagram, io::copy::copy_packet, protocol::packets::unsendable};

/// The association.
pub(super) struct MuxDatagrams {
    channel: Channel,
    /// The target of datagrams whose frames name none.
    target: Target,
}

impl MuxDatagrams {
    /// The association of a session that has just begun.
    pub(super) const fn new(channel: Channel, target: Target) -> Self {
        Self { channel, target }
    }
}

impl Datagram for MuxDatagrams {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if u16::try_from(payload.len()).is_err() {
            return Poll::Ready(Err(unsendable("the datagram is too large")));
        }
        self.channel.poll_send(cx, Some(target), payload)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        let piece = ready!(self.channel.poll_take(cx))?.ok_or(Cause::Closed)?;
        let length = copy_packet(&piece.bytes, buffer);
        Poll::Ready(Ok((length, piece.target.unwrap_or_else(|| self.target.clone()))))
    }
}
