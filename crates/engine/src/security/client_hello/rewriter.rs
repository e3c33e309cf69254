//! A stream that replaces the ClientHellos which rustls writes by other ones.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    retry::{is_retry, second_hello},
    transcript::{self, Random},
};
use crate::{
    Cause,
    io::write_buffer::WriteBuffer,
    security::tls::records::{CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER, record_header},
};

/// The most bytes of a record that is looked at for a ServerHello: one with the largest key share in use has less than
/// half.
const MOST_HEARD: usize = 4096;

const SERVER_HELLO: u8 = 2;

/// The ServerHello message of a connection, once it has come.
pub(crate) type ServerHello = Arc<OnceLock<Box<[u8]>>>;

/// The stream, for the time of the handshake.
#[derive(Debug)]
pub(crate) struct HelloRewriter<S> {
    inner: S,
    /// The bytes that are sent before anything else.
    ours: WriteBuffer,
    /// While rustls may still write a hello.
    replacer: Option<Replacer>,
    listener: Option<Listener>,
}

/// Replaces hellos among the records that rustls writes.
#[derive(Debug)]
struct Replacer {
    random: Random,
    hello: Arc<[u8]>,
    is_first_sent: bool,
    /// The part of a record that rustls has written.
    record: Vec<u8>,
}

/// Waits for the ServerHello, over a HelloRetryRequest in front of it.
#[derive(Debug)]
struct Listener {
    received: Vec<u8>,
    heard: ServerHello,
    retry: Option<Box<[u8]>>,
}

impl<S> HelloRewriter<S> {
    /// Changes nothing, but keeps the ServerHello.
    pub(super) fn listening(inner: S, heard: ServerHello) -> Self {
        Self { inner, ours: WriteBuffer::default(), replacer: None, listener: Some(Listener::new(heard)) }
    }

    /// Writes `hello`, a whole message with this random, in the place of rustls' own, and what follows from it in the
    /// place of a second one.
    pub(super) fn replacing(inner: S, random: Random, hello: Arc<[u8]>, heard: ServerHello) -> Self {
        let replacer = Replacer { random, hello, is_first_sent: false, record: Vec::new() };
        Self { replacer: Some(replacer), ..Self::listening(inner, heard) }
    }

    /// The stream beneath, once the handshake is over: nothing more to change or to hear.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl Replacer {
    /// Takes bytes of one record; 0 when it can be no hello, and then none follows.
    ///
    /// # Errors
    /// [`Cause::Hello`] when a second hello cannot be made.
    fn take(&mut self, bytes: &[u8], retry: Option<&[u8]>, ours: &mut WriteBuffer) -> io::Result<usize> {
        // A hello is the only handshake message without encryption. What has another type is data or an alert.
        if self.record.is_empty() && !matches!(bytes.first(), Some(&(CHANGE_CIPHER_SPEC | HANDSHAKE))) {
            return Ok(0);
        }
        let mut taken = 0;
        loop {
            let whole = record_header(&self.record).map_or(HEADER, |(_, length)| length);
            if self.record.len() == whole {
                break;
            }
            let missing = whole - self.record.len();
            let rest = bytes.get(taken..).unwrap_or_default();
            let piece = rest.get(..missing.min(rest.len())).unwrap_or_default();
            if piece.is_empty() {
                return Ok(taken);
            }
            self.record.extend_from_slice(piece);
            taken += piece.len();
        }
        self.replace(retry, ours)?;
        Ok(taken)
    }

    fn replace(&mut self, retry: Option<&[u8]>, ours: &mut WriteBuffer) -> io::Result<()> {
        let record = std::mem::take(&mut self.record);
        if record.first() == Some(&CHANGE_CIPHER_SPEC) {
            ours.buffer().extend_from_slice(&record);
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_first_sent, true) {
            put_record(ours, 1, &self.hello);
            return Ok(());
        }
        let theirs = record.get(HEADER..).unwrap_or_default();
        let second = retry.and_then(|retry| second_hello(&self.hello, retry, theirs, &mut rand::rng()));
        let second = second.ok_or_else(|| Cause::Hello("the server's HelloRetryRequest cannot be answered".into()))?;
        put_record(ours, 3, &second);
        transcript::add_second(&self.random, second.into());
        Ok(())
    }
}

/// A record around a hello. Its minor version is 1 before a version is negotiated, then 3 (RFC 8446 §5.1).
fn put_record(ours: &mut WriteBuffer, minor: u8, hello: &[u8]) {
    let length = u16::try_from(hello.len()).unwrap_or(u16::MAX).to_be_bytes();
    ours.buffer().extend_from_slice(&[HANDSHAKE, 3, minor, length[0], length[1]]);
    ours.buffer().extend_from_slice(hello);
}

impl Listener {
    const fn new(heard: ServerHello) -> Self {
        Self { received: Vec::new(), heard, retry: None }
    }

    /// Takes what came. True when there is nothing more to wait for.
    fn hear(&mut self, bytes: &[u8]) -> bool {
        self.received.extend_from_slice(bytes);
        loop {
            let [kind, _, _, high, low, rest @ ..] = &*self.received else { return false };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(message) = rest.get(..length) else { return length > MOST_HEARD - HEADER };
            match (*kind, message) {
                (CHANGE_CIPHER_SPEC, _) if self.retry.is_some() => {}
                (HANDSHAKE, [SERVER_HELLO, a, b, c, ..]) => {
                    let whole = 4 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
                    let message: Box<[u8]> = message.get(..whole).unwrap_or_default().into();
                    if self.retry.is_some() || !is_retry(&message) {
                        let _ = self.heard.set(message);
                        return true;
                    }
                    self.retry = Some(message);
                }
                _ => return true,
            }
            self.received.drain(..HEADER + length);
        }
    }
}

/// Whether these pieces begin with a ServerHello.
#[cfg(feature = "fuzzing")]
pub(crate) fn find_server_hello(bytes: &[u8], piece: usize) -> bool {
    let heard = ServerHello::default();
    let mut listener = Listener::new(Arc::clone(&heard));
    bytes.chunks(piece.max(1)).any(|piece| listener.hear(piece)) && heard.get().is_some()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HelloRewriter<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if this.listener.as_mut().is_some_and(|listener| listener.hear(bytes)) {
            this.listener = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> HelloRewriter<S> {
    fn poll_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ours.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.ours.poll_drain(&mut self.inner, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HelloRewriter<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(replacer) = &mut this.replacer
            && !buf.is_empty()
        {
            let retry = this.listener.as_ref().and_then(|listener| listener.retry.as_deref());
            let taken = replacer.take(buf, retry, &mut this.ours)?;
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
            this.replacer = None;
        }
        ready!(this.poll_ours(cx))?;
        Pin::new(&mut this.inner).poll_write(cx, buf)
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
