//! A stream on which the first thing written, rustls' ClientHello, leaves as another one.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Cause, io::write_buffer::WriteBuffer, security::tls::HEADER};

/// The most bytes that are looked at for a ServerHello: one with the largest key share in use has less than half.
const MOST_HEARD: usize = 4096;

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The ServerHello message of a connection, once it has come.
pub(crate) type ServerHello = Arc<OnceLock<Box<[u8]>>>;

/// The stream, for the time of the handshake.
#[derive(Debug)]
pub(crate) struct HelloRewriter<S> {
    inner: S,
    out: Out,
    listening: Option<Listening>,
}

/// What becomes of written bytes.
#[derive(Debug)]
enum Out {
    /// They are rustls' hello and go nowhere; ours is in the box.
    Theirs { seen: usize, header: [u8; HEADER], ours: WriteBuffer },
    /// Ours is on its way.
    Ours(WriteBuffer),
    /// They go straight through.
    Open,
}

/// Waits for the first record from the server.
#[derive(Debug)]
struct Listening {
    record: Vec<u8>,
    heard: ServerHello,
    /// Whether a HelloRetryRequest can be answered: not when the hello that it is about was ours.
    may_retry: bool,
}

impl<S> HelloRewriter<S> {
    /// Changes nothing, but keeps the ServerHello.
    pub(super) fn listening(inner: S, heard: ServerHello) -> Self {
        let listening = Listening { record: Vec::new(), heard, may_retry: true };
        Self { inner, out: Out::Open, listening: Some(listening) }
    }

    /// Writes `hello`, a whole message, in the place of the first record written.
    pub(super) fn swap(inner: S, hello: &[u8], heard: ServerHello) -> Self {
        let mut ours = WriteBuffer::default();
        let length = u16::try_from(hello.len()).unwrap_or(u16::MAX).to_be_bytes();
        ours.buffer().extend_from_slice(&[22, 3, 1, length[0], length[1]]);
        ours.buffer().extend_from_slice(hello);
        let listening = Listening { record: Vec::new(), heard, may_retry: false };
        let out = Out::Theirs { seen: 0, header: [0; HEADER], ours };
        Self { inner, out, listening: Some(listening) }
    }

    /// The stream beneath, once the handshake is over: nothing more to change or to hear.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    /// Takes off what belongs to rustls' record. Returns how many bytes that was.
    fn swallow(&mut self, bytes: &[u8]) -> usize {
        let Out::Theirs { seen, header, ours } = &mut self.out else { return 0 };
        let mut taken = 0;
        for &byte in bytes {
            if let Some(place) = header.get_mut(*seen) {
                *place = byte;
            }
            *seen += 1;
            taken += 1;
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            if *seen >= HEADER && *seen == HEADER + length {
                self.out = Out::Ours(std::mem::take(ours));
                break;
            }
        }
        taken
    }
}

impl<S: AsyncWrite + Unpin> HelloRewriter<S> {
    fn poll_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Out::Ours(ours) = &mut self.out {
            ready!(ours.poll_drain(&mut self.inner, cx))?;
            self.out = Out::Open;
        }
        Poll::Ready(Ok(()))
    }
}

impl Listening {
    /// Takes what came. True when there is nothing more to wait for.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let room = bytes.len().min(MOST_HEARD - self.record.len());
        self.record.extend_from_slice(bytes.get(..room).unwrap_or_default());
        let [kind, _, _, high, low, rest @ ..] = &*self.record else { return Ok(false) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(message) = rest.get(..length) else { return Ok(length > MOST_HEARD - HEADER) };
        let (22, [2, a, b, c, ..]) = (*kind, message) else { return Ok(true) };
        if message.get(6..38) == Some(&RETRY[..]) && !self.may_retry {
            return Err(Cause::Hello("the server wants another key share".into()).into());
        }
        let length = 4 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
        let _ = self.heard.set(message.get(..length).unwrap_or_default().into());
        Ok(true)
    }
}

/// Whether these pieces begin with a ServerHello.
#[cfg(feature = "fuzzing")]
pub(crate) fn hear_server_hello(bytes: &[u8], piece: usize) -> bool {
    let heard = ServerHello::default();
    let mut listening = Listening { record: Vec::new(), heard: Arc::clone(&heard), may_retry: false };
    let over = bytes.chunks(piece.max(1)).map(|piece| listening.hear(piece)).find(|over| !matches!(over, Ok(false)));
    matches!(over, Some(Ok(true))) && heard.get().is_some()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HelloRewriter<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(listening) = &mut this.listening else { return Pin::new(&mut this.inner).poll_read(cx, buf) };
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if listening.hear(buf.filled().get(before..).unwrap_or_default())? {
            this.listening = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HelloRewriter<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match this.out {
            Out::Open => Pin::new(&mut this.inner).poll_write(cx, buf),
            Out::Theirs { .. } => Poll::Ready(Ok(this.swallow(buf))),
            Out::Ours(_) => {
                ready!(this.poll_ours(cx))?;
                Pin::new(&mut this.inner).poll_write(cx, buf)
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.out, Out::Open) {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ours(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ours(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
