//! A tunnel that ends, or goes silent, after so many bytes towards the client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happens at the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Writing fails, and the connection is reset.
    Die,
    /// Writing fails, and the connection is closed.
    Close,
    /// Bytes vanish.
    Hang,
}

/// The wrapper.
#[derive(Debug)]
pub(crate) struct Limited<S> {
    inner: S,
    left: u64,
    end: Option<End>,
    over: bool,
}

impl<S> Limited<S> {
    /// At most `left` bytes, then `end`; without an `end` there is no limit.
    pub(crate) const fn new(inner: S, left: u64, end: Option<End>) -> Self {
        Self { inner, left, end, over: false }
    }

    /// Whether the limit was passed, and how that ended.
    pub(crate) const fn ended(&self) -> Option<End> {
        if self.over { self.end } else { None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(end) = self.end else {
            return Pin::new(&mut self.inner).poll_write(cx, buf);
        };
        if self.left == 0 && !buf.is_empty() {
            self.over = true;
            return Poll::Ready(match end {
                End::Die | End::Close => Err(io::ErrorKind::ConnectionReset.into()),
                End::Hang => Ok(buf.len()),
            });
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let result = Pin::new(&mut self.inner).poll_write(cx, buf.get(..most).unwrap_or(buf));
        if let Poll::Ready(Ok(written)) = &result {
            self.left = self.left.saturating_sub(u64::try_from(*written).unwrap_or(u64::MAX));
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended() == Some(End::Hang) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What arrives of a hundred bytes in pieces of thirty, whether a write failed, and how the tunnel ended.
    async fn send(left: u64, end: Option<End>) -> (usize, bool, Option<End>) {
        let (near, mut far) = duplex(1 << 10);
        let mut limited = Limited::new(near, left, end);
        let mut failed = false;
        for piece in [7_u8; 100].chunks(30) {
            failed |= limited.write_all(piece).await.is_err();
        }
        let _ = limited.flush().await;
        let ended = limited.ended();
        drop(limited);
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        (arrived.len(), failed, ended)
    }

    #[tokio::test]
    async fn so_many_bytes_pass_and_then_the_end_comes() {
        assert_eq!(send(40, Some(End::Die)).await, (40, true, Some(End::Die)));
        assert_eq!(send(40, Some(End::Close)).await, (40, true, Some(End::Close)));
        assert_eq!(send(40, Some(End::Hang)).await, (40, false, Some(End::Hang)), "the rest vanishes");
        assert_eq!(send(100, Some(End::Die)).await, (100, false, None), "the limit was not passed");
        assert_eq!(send(0, Some(End::Die)).await, (0, true, Some(End::Die)));
        assert_eq!(send(0, None).await, (100, false, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_that_hangs_does_not_end_and_still_hears_its_client() {
        let (near, mut far) = duplex(1 << 10);
        let mut limited = Limited::new(near, 1, Some(End::Hang));
        limited.write_all(b"ab").await.unwrap();
        limited.shutdown().await.unwrap();
        far.write_all(b"c").await.unwrap();
        assert_eq!((limited.read_u8().await.unwrap(), far.read_u8().await.unwrap()), (b'c', b'a'));
        let more = tokio::time::timeout(std::time::Duration::from_millis(1), far.read_u8()).await;
        assert!(more.is_err(), "no byte and no end");
    }
}
