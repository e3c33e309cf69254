//! The trait [`Stream`]: a stream of bytes, whatever carries it.

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, Empty, Join},
    net::TcpStream,
};

/// Anything that reads and writes bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {
    /// The socket beneath a stream that has become nothing but it: in both directions no byte is changed, added or held any more, and none will be.
    /// The kernel can then move bytes between two of them by itself.
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

impl Stream for TcpStream {
    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Stream for DuplexStream {}

impl Stream for Empty {}

impl<R, W> Stream for Join<R, W>
where
    R: AsyncRead + Send + Sync + Unpin + 'static,
    W: AsyncWrite + Send + Sync + Unpin + 'static,
{
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn socket(&self) -> Option<&TcpStream> {
        (**self).socket()
    }
}

/// An open stream, whatever it is made of.
pub type BoxStream = Box<dyn Stream>;
