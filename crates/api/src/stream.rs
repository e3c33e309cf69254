//! Wraps the stream of an API connection: cuts off a client that does not read, and gives bare error answers a body.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::problem;

/// How long a peer may take for [`LEAST`] bytes of an answer.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A slower peer holds a slot that others need.
const LEAST: usize = 4096;

/// A stream that bounds how long writing may take, and holds `permits` until it is dropped.
pub(crate) struct ApiStream<S, P = ()> {
    inner: S,
    /// Runs while a write waits: when it ends, and the bytes that were written since it began.
    timer: Option<(Pin<Box<Sleep>>, usize)>,
    /// An answer with a body, in the place of one without, and how much of it is written.
    replaced: Option<(Vec<u8>, usize)>,
    _permits: P,
}

impl<S, P> ApiStream<S, P> {
    pub(crate) const fn new(inner: S, permits: P) -> Self {
        Self { inner, timer: None, replaced: None, _permits: permits }
    }
}

impl<S: AsyncRead + Unpin, P: Unpin> AsyncRead for ApiStream<S, P> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin, P: Unpin> ApiStream<S, P> {
    fn write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) => {
                if let Some((_, since)) = &mut self.timer {
                    *since += written;
                    if *since >= LEAST {
                        self.timer = None;
                    }
                }
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(cx),
        }
    }

    /// The peer does not read: it may take its time, but not for ever.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let (timer, _) = self.timer.get_or_insert_with(|| (Box::pin(sleep_until(Instant::now() + WRITE_TIMEOUT)), 0));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl<S: AsyncWrite + Unpin, P: Unpin> AsyncWrite for ApiStream<S, P> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.replaced.is_none() {
            this.replaced = problem::with_body(buf).map(|answer| (answer, 0));
        }
        let Some((answer, mut written)) = this.replaced.take() else { return this.write(cx, buf) };
        while let Some(rest) = answer.get(written..).filter(|rest| !rest.is_empty()) {
            match this.write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(more)) => written += more,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.replaced = Some((answer, written));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_flush(cx) {
            Poll::Pending => this.wait(cx),
            done => done,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_shutdown(cx) {
            Poll::Pending => this.wait(cx),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_cut_off() {
        let (ours, theirs) = duplex(1024);
        let mut stream = ApiStream::new(ours, ());
        let began = Instant::now();
        let error = stream.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, WRITE_TIMEOUT));
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_byte_now_and_then_is_cut_off_and_a_slow_one_is_not() {
        for (bytes, cut) in [(1, true), (LEAST, false)] {
            let (ours, mut theirs) = duplex(LEAST);
            let mut stream = ApiStream::new(ours, ());
            let reading = tokio::spawn(async move {
                let mut buffer = vec![0; bytes];
                loop {
                    tokio::time::sleep(WRITE_TIMEOUT - Duration::from_secs(1)).await;
                    if theirs.read_exact(&mut buffer).await.is_err() {
                        return;
                    }
                }
            });
            let written = stream.write_all(&[0; 20 * LEAST]).await;
            assert_eq!(written.is_err(), cut, "{bytes}");
            drop(stream);
            reading.await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_answer_without_a_body_gets_one() {
        let (ours, mut theirs) = duplex(16);
        let mut stream = ApiStream::new(ours, ());
        let writing = tokio::spawn(async move {
            let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
            stream.write_all(bare).await.unwrap();
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        });
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        writing.await.unwrap();
        assert!(text.starts_with("HTTP/1.1 431 ") && text.ends_with("HTTP/1.1 100 Continue\r\n\r\n"), "{text}");
        assert!(text.contains("\"error\":\"api-bad-request\"") && !text.contains("content-length: 0\r\n"), "{text}");
    }
}
