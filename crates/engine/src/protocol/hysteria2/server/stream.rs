//! A client's stream: the QUIC stream beneath it, and the answer to the request in front of what is sent.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use quinn::{RecvStream, SendStream, VarInt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    time::sleep,
};

use super::session::Client;
use crate::{
    BoxStream, Stream,
    io::write_buffer::WriteBuffer,
    protocol::hysteria2::wire,
    quic::{cause_of_read, cause_of_write},
    served::{RequestRefusal, ServedStream},
};

/// H3_REQUEST_CANCELLED (RFC 9114 §8.1).
const CANCELLED: u32 = 0x10c;

/// The shortest and the longest time that what was written before a reset gets to arrive.
const BEFORE_RESET: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Both directions of a QUIC stream. When it is dropped before its end was sent, it is reset: the client must not take what it has for
/// everything.
pub(super) struct ClientStream {
    /// `None` while it is dropped.
    send: Option<SendStream>,
    receive: RecvStream,
    has_ended: bool,
    /// Keeps the connection open.
    client: Arc<Client>,
}

impl ClientStream {
    pub(super) fn new((send, receive): (SendStream, RecvStream), client: Arc<Client>) -> Self {
        Self { send: Some(send), receive, has_ended: false, client }
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        let Some(mut send) = self.send.take().filter(|_| !self.has_ended) else { return };
        let client = Arc::clone(&self.client);
        let Ok(runtime) = Handle::try_current() else { return };
        // A reset overtakes what was written before it, and then it would be lost.
        runtime.spawn(async move {
            let (least, most) = BEFORE_RESET;
            sleep((client.round_trip() * 4).clamp(least, most)).await;
            // One that is over already cannot be reset, and needs not.
            let _ = send.reset(VarInt::from_u32(CANCELLED));
        });
    }
}

impl Stream for ClientStream {}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.receive.poll_read_buf(cx, buf).map_err(|error| cause_of_read(&error).into())
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let Some(send) = &mut self.get_mut().send else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        Pin::new(send).poll_write(cx, data).map_err(|error| cause_of_write(&error).into())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's driver sends what was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.has_ended = true;
        // A second end, or an end after the client has stopped reading, changes nothing.
        let _ = self.send.as_mut().map(SendStream::finish);
        Poll::Ready(Ok(()))
    }
}

/// A client's stream whose request was read; the answer is sent in front of the first bytes.
pub(super) struct AnsweredStream {
    stream: BoxStream,
    answer: WriteBuffer,
    is_answered: bool,
}

impl AnsweredStream {
    pub(super) fn new(stream: BoxStream) -> Self {
        Self { stream, answer: WriteBuffer::default(), is_answered: false }
    }

    /// Queues the answer, unless there was one.
    fn answer(&mut self, connected: bool, message: &str) {
        if !std::mem::replace(&mut self.is_answered, true) {
            wire::put_answer(connected, message, self.answer.buffer(), &mut rand::rng());
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.answer.poll_drain(&mut self.stream, cx)
    }
}

impl ServedStream for AnsweredStream {
    fn grant(&mut self) {
        self.answer(true, "Connected");
    }

    fn refuse(&mut self, why: RequestRefusal) {
        self.answer(false, why.text());
    }
}

impl Stream for AnsweredStream {}

impl AsyncRead for AnsweredStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for AnsweredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        // Bytes of the target say that it is connected.
        self.grant();
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
