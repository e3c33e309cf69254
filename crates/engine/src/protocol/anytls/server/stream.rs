//! One stream of a client. Its connection moves the bytes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{super::wire::Command, shared::Shared};
use crate::{
    Stream,
    served::{RequestRefusal, ServedStream},
};

/// The stream.
#[derive(Debug)]
pub(super) struct AnyTlsServedStream {
    shared: Arc<Shared>,
    id: u32,
    /// Whether we have ended it.
    finished: bool,
}

impl AnyTlsServedStream {
    /// The stream of this number.
    pub(super) const fn new(shared: Arc<Shared>, id: u32) -> Self {
        Self { shared, id, finished: false }
    }

    /// Ends it, both ways: the protocol has no other end, and clients do not answer it.
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            let mut state = self.shared.0.lock();
            if !state.is_over {
                state.send(Command::Fin, self.id, &[]);
            }
            state.end(self.id);
        }
    }
}

impl ServedStream for AnyTlsServedStream {
    fn grant(&mut self) {
        self.shared.0.lock().answer(self.id, "");
    }

    fn refuse(&mut self, why: RequestRefusal) {
        self.shared.0.lock().answer(self.id, why.text());
    }
}

impl Stream for AnyTlsServedStream {}

impl AsyncRead for AnyTlsServedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.shared.0.lock().poll_read(self.id, cx, buf)
    }
}

impl AsyncWrite for AnyTlsServedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.0.lock().poll_write(self.id, cx, payload)
    }

    /// The connection sends what is queued by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for AnyTlsServedStream {
    fn drop(&mut self) {
        self.finish();
        let mut state = self.shared.0.lock();
        state.streams.remove(&self.id);
        state.last_use = Instant::now();
        // The connection may have waited for this stream to be read.
        state.wake_connection();
    }
}
