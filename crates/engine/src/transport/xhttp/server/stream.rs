//! One XHTTP session as a client's stream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::sessions::SessionGuard;
use crate::{
    Stream,
    transport::http_server::{AnswerBody, BodyStream},
};

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
}

impl XhttpServerStream {
    /// A session whose download has begun.
    pub(super) const fn new(upload: Upload, download: AnswerBody) -> Self {
        Self { upload, download }
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
        // The uploads of a session have no other sign that the client has left than the end of its download.
        if read.is_pending() { this.download.poll_gone(cx) } else { read }
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
        Pin::new(&mut self.get_mut().download).poll_shutdown(cx)
    }
}
