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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate_that_was_asked_for() {
        for (rate, least, most) in [(1000, 9, 11), (10_000, 0, 2)] {
            let (near, mut far) = duplex(1 << 16);
            let mut throttled = Throttled::new(near, Some(rate));
            let began = Instant::now();
            throttled.write_all(&[1; 10_000]).await.unwrap();
            let seconds = began.elapsed().as_secs();
            assert!((least..=most).contains(&seconds), "{rate} bytes a second: {seconds} s");
            drop(throttled);
            let mut arrived = Vec::new();
            assert_eq!(far.read_to_end(&mut arrived).await.unwrap(), 10_000);
        }
        let (near, _far) = duplex(1 << 16);
        let began = Instant::now();
        Throttled::new(near, None).write_all(&[1; 10_000]).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    /// What arrives of a text that is written in pieces of this length.
    async fn tampered(text: &[u8], piece: usize, on: bool) -> String {
        let (near, mut far) = duplex(1 << 10);
        let mut tampered = Tampered::new(near, on);
        for part in text.chunks(piece) {
            tampered.write_all(part).await.unwrap();
        }
        drop(tampered);
        let mut arrived = String::new();
        far.read_to_string(&mut arrived).await.unwrap();
        arrived
    }

    #[tokio::test]
    async fn bodies_are_changed_and_heads_are_not_wherever_the_bytes_are_cut() {
        let answer = b"HTTP/1.1 200 OK\r\nA: b\r\r\n\r\nBody 1";
        for piece in 1..answer.len() {
            assert_eq!(tampered(answer, piece, true).await, "HTTP/1.1 200 OK\r\nA: b\r\r\n\r\nbODY 1", "{piece}");
        }
        assert_eq!(tampered(answer, 5, false).await.as_bytes(), answer);
    }
}
