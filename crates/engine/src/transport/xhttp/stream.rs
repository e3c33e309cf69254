//! One XHTTP session as a stream of bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{http1, upload::Packets};
use crate::{BoxStream, Stream};

/// Where the bytes come from.
pub(super) enum Download {
    Http1(http1::Download),
    /// On a connection that others share.
    Shared(BoxStream),
}

/// Where they go.
pub(super) enum Upload {
    /// One long request.
    Stream(BoxStream),
    /// Many short ones.
    Packets(Packets),
}

/// A session. Dropping it ends both directions.
pub(super) struct XhttpStream {
    download: Download,
    upload: Upload,
    /// Whether the upload's answer may still say something.
    listening: bool,
    closed: bool,
}

impl XhttpStream {
    /// A session whose requests are on their way.
    pub(super) const fn new(download: Download, upload: Upload) -> Self {
        Self { download, upload, listening: true, closed: false }
    }

    /// What the answer to the upload says: padding, which is thrown away, or a refusal.
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut sink = [0; 256];
        while self.listening {
            match &mut self.upload {
                Upload::Packets(packets) => return packets.poll_failure(cx).map(io::Error::from),
                Upload::Stream(upload) => {
                    let mut sink = ReadBuf::new(&mut sink);
                    match ready!(Pin::new(upload).poll_read(cx, &mut sink)) {
                        Ok(()) => self.listening = !sink.filled().is_empty(),
                        Err(error) => {
                            self.listening = false;
                            return Poll::Ready(error);
                        }
                    }
                }
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for XhttpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // Once our direction has ended, what becomes of it does not concern the other one.
        if !this.closed
            && let Poll::Ready(error) = this.poll_refusal(cx)
        {
            return Poll::Ready(Err(error));
        }
        match &mut this.download {
            Download::Http1(download) => download.poll_read(cx, buf),
            Download::Shared(download) => Pin::new(download).poll_read(cx, buf),
        }
    }
}

impl Stream for XhttpStream {}

impl AsyncWrite for XhttpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match &mut this.upload {
            Upload::Stream(upload) => Pin::new(upload).poll_write(cx, buf),
            Upload::Packets(packets) => packets.poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().upload {
            Upload::Stream(upload) => Pin::new(upload).poll_flush(cx),
            // The task sends what it has without being asked.
            Upload::Packets(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.upload {
            Upload::Stream(upload) => ready!(Pin::new(upload).poll_shutdown(cx))?,
            Upload::Packets(packets) => packets.close(),
        }
        this.closed = true;
        Poll::Ready(Ok(()))
    }
}
