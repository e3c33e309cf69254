//! A tunnel that lets only so many bytes a second pass towards the client, or changes them on their way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A slice of the second: what may pass in it goes at once.
const SLICE: Duration = Duration::from_millis(50);

/// A tunnel with a bound on its speed.
#[derive(Debug)]
pub(crate) struct Throttled<S> {
    inner: S,
    /// Bytes in a slice; `None` = no bound.
    rate: Option<usize>,
    left: usize,
    slice: Pin<Box<Sleep>>,
}

impl<S> Throttled<S> {
    /// At most `per_second` bytes a second; `None` = as fast as they come.
    pub(crate) fn new(inner: S, per_second: Option<u32>) -> Self {
        let rate = per_second.map(|rate| usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1));
        Self { inner, rate, left: rate.unwrap_or_default(), slice: Box::pin(sleep(SLICE)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(rate) = self.rate else {
            return Pin::new(&mut self.inner).poll_write(cx, buf);
        };
        if self.left == 0 {
            ready!(self.slice.as_mut().poll(cx));
            self.slice.as_mut().reset(Instant::now() + SLICE);
            self.left = rate;
        }
        let most = self.left.min(buf.len());
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf.get(..most).unwrap_or(buf)))?;
        self.left = self.left.saturating_sub(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A tunnel that changes the bodies of HTTP answers.
#[derive(Debug)]
pub(crate) struct Tampered<S> {
    inner: S,
    on: bool,
    /// How much of the blank line after the head has passed; 4 = all.
    seen: usize,
}

impl<S> Tampered<S> {
    pub(crate) const fn new(inner: S, on: bool) -> Self {
        Self { inner, on, seen: 0 }
    }
}

/// The byte as the client gets it, and how much of the blank line has passed with it.
fn changed(byte: u8, seen: usize) -> (u8, usize) {
    const BLANK: &[u8; 4] = b"\r\n\r\n";
    match BLANK.get(seen) {
        None => (if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { byte }, seen),
        Some(&wanted) if wanted == byte => (byte, seen + 1),
        Some(_) => (byte, usize::from(byte == b'\r')),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tampered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tampered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.on {
            return Pin::new(&mut self.inner).poll_write(cx, buf);
        }
        let mut seen = self.seen;
        let mut places = Vec::with_capacity(buf.len());
        let mut bytes = Vec::with_capacity(buf.len());
        for byte in buf {
            let (byte, next) = changed(*byte, seen);
            seen = next;
            bytes.push(byte);
            places.push(next);
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &bytes))?;
        if let Some(place) = written.checked_sub(1).and_then(|last| places.get(last)) {
            self.seen = *place;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
