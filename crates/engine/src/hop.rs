//! A node as the way to the next one of its chain: what is a target to it is a server to us, and its faults are a node's.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use hezar_core::Target;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{Attempt, BoxDatagram, BoxStream, Cause, DialError, Dialer, Stream};

/// Opens streams through a node of a chain that is not its last.
#[derive(Debug)]
pub(crate) struct Hop(Arc<dyn Dialer>);

impl Hop {
    /// Goes through `node`.
    pub(crate) const fn new(node: Arc<dyn Dialer>) -> Self {
        Self(node)
    }
}

/// An unreachable target of this node is a server that cannot be reached.
fn of_server(cause: Cause) -> Cause {
    match cause {
        Cause::TargetUnreachable(_) => Cause::Unreachable,
        other => other,
    }
}

#[async_trait]
impl Dialer for Hop {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        match self.0.connect(target, attempt).await {
            Ok(stream) => Ok(Box::new(HopStream(stream))),
            Err(error) => Err(DialError::new(error.stage, of_server(error.cause))),
        }
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        self.0.associate(attempt).await
    }
}

/// A stream whose failures are told in the same way: some nodes say only at the first read what became of the target.
struct HopStream(BoxStream);

impl AsyncRead for HopStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf).map_err(|error| of_server(Cause::from(error)).into())
    }
}

impl Stream for HopStream {
    // What becomes of the target is told before the first byte of the answer; a relay asks later.
    fn socket(&self) -> Option<&TcpStream> {
        self.0.socket()
    }
}

impl AsyncWrite for HopStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
