//! One XHTTP session as a client's stream.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::sessions::SessionGuard;
use crate::{
    Stream,
    transport::http_server::{AnswerBody, BodyStream},
};

/// How long the next piece of an upload is waited for once the download has ended, since nothing tells which one is the last.
const QUIET: Duration = Duration::from_secs(5);

/// Where the client's bytes come from.
pub(super) enum Upload {
    /// The request that brings the download, too.
    Same(BodyStream),
    /// Other requests of the session.
    Others(SessionGuard),
}

/// A session. Dropping it ends both directions, and the session.
pub(super) struct XhttpServerStream {
    upload: Upload,
    download: AnswerBody,
    has_ended: bool,
    /// Set by our end when the upload comes in pieces: runs out when there are no more.
    quiet: Option<Pin<Box<Sleep>>>,
    /// The waker of a pending read. It is woken when our end sets a time to it.
    reader: Option<Waker>,
}

impl XhttpServerStream {
    /// A session whose download has begun.
    pub(super) const fn new(upload: Upload, download: AnswerBody) -> Self {
        Self { upload, download, has_ended: false, quiet: None, reader: None }
    }
}

impl Stream for XhttpServerStream {}

impl AsyncRead for XhttpServerStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = match &mut this.upload {
            Upload::Same(body) => Pin::new(body).poll_read(cx, buf),
            Upload::Others(session) => session.queue.poll_read(cx, buf),
        };
        match (read, &mut this.quiet) {
            (Poll::Ready(read), quiet) => {
                if let Some(quiet) = quiet {
                    quiet.as_mut().reset(Instant::now() + QUIET);
                }
                Poll::Ready(read)
            }
            (Poll::Pending, Some(quiet)) => quiet.as_mut().poll(cx).map(Ok),
            // The body of one request tells its end itself.
            (Poll::Pending, None) if this.has_ended => Poll::Pending,
            (Poll::Pending, None) => {
                this.reader = Some(cx.waker().clone());
                // The uploads of a session have no other sign that the client has left than the end of its download.
                this.download.poll_gone(cx)
            }
        }
    }
}

impl AsyncWrite for XhttpServerStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().download).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().download).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.download).poll_shutdown(cx))?;
        if !std::mem::replace(&mut this.has_ended, true) {
            if let Upload::Others(session) = &this.upload
                && session.queue.comes_in_pieces()
            {
                this.quiet = Some(Box::pin(sleep(QUIET)));
            }
            this.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(()))
    }
}
