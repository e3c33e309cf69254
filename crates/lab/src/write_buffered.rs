//! A writer that offers the stream beneath it the same bytes again until they are taken.
//!
//! The Shadowsocks stream of the `shadowsocks` crate loses bytes when a writer comes back with a longer buffer after a
//! pending write, which hyper and `tokio::io::copy` do.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes kept.
const CAPACITY: usize = 16 * 1024;

/// The wrapper.
#[derive(Debug)]
pub(crate) struct WriteBuffered<S> {
    inner: S,
    kept: Vec<u8>,
    sent: usize,
}

impl<S> WriteBuffered<S> {
    pub(crate) const fn new(inner: S) -> Self {
        Self { inner, kept: Vec::new(), sent: 0 }
    }
}

impl<S: AsyncWrite + Unpin> WriteBuffered<S> {
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.kept.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.kept.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteBuffered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteBuffered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.drain(cx))?;
        let taken = buf.len().min(CAPACITY);
        self.kept.extend_from_slice(buf.get(..taken).unwrap_or(buf));
        if let Poll::Ready(Err(error)) = self.drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Takes one byte at a time, and only at every second call; it fails when the bytes that it is offered change meanwhile.
    #[derive(Default)]
    struct Strict {
        offered: Vec<u8>,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Strict {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            if self.offered.is_empty() {
                self.offered = buf.to_vec();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let offered = std::mem::take(&mut self.offered);
            if offered != buf {
                return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
            }
            self.taken.extend(buf.first());
            Poll::Ready(Ok(1))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_stream_beneath_is_offered_the_same_bytes_until_it_takes_them() {
        let mut buffered = WriteBuffered::new(Strict::default());
        for length in 1..20_u8 {
            buffered.write_all(&vec![length; length.into()]).await.unwrap();
        }
        buffered.shutdown().await.unwrap();
        let expected: Vec<u8> = (1..20).flat_map(|length| vec![length; length.into()]).collect();
        assert_eq!(buffered.inner.taken, expected);
    }

    #[tokio::test]
    async fn long_writes_are_taken_in_parts() {
        let (near, mut far) = duplex(1 << 10);
        let text: Vec<u8> = (0..100_000).map(|at: usize| at as u8).collect();
        let sent = text.clone();
        let writer = tokio::spawn(async move {
            let mut buffered = WriteBuffered::new(near);
            buffered.write_all(&sent).await?;
            buffered.flush().await
        });
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        writer.await.unwrap().unwrap();
        assert_eq!(arrived, text);
    }
}
