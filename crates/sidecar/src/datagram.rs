//! An association through a core, which holds its slot.

use std::{
    io,
    task::{Context, Poll},
};

use hezar_core::{Host, Target};
use hezar_engine::{BoxDatagram, Datagram};

use crate::{slots::SlotLease, stream::core_ended};

/// The association.
pub(crate) struct SidecarDatagram {
    inner: BoxDatagram,
    lease: SlotLease,
    start: u64,
    /// Whether the core sends to targets that are names. It must not look them up.
    takes_names: bool,
}

impl SidecarDatagram {
    pub(crate) const fn new(inner: BoxDatagram, lease: SlotLease, start: u64, takes_names: bool) -> Self {
        Self { inner, lease, start, takes_names }
    }

    fn judged<T>(&self, result: io::Result<T>) -> io::Result<T> {
        match result {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput && !self.lease.is_current(self.start) => {
                Err(core_ended())
            }
            other => other,
        }
    }
}

impl Datagram for SidecarDatagram {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if !self.takes_names && matches!(target.host(), Host::Name(_)) {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        self.inner.poll_send_to(cx, payload, target).map(|result| self.judged(result))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx).map(|result| self.judged(result))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        self.inner.poll_recv_from(cx, buffer).map(|result| self.judged(result))
    }
}
