//! The client's stream beneath hyper, which gets only heads that were parsed here and written anew.
//!
//! ```text
//!   Head ──whole──► Body ──over──► Head
//!    │               └─after CONNECT, an upgrade or a refused head──► Kept: nothing more is HTTP until the answer says so
//!    └──malformed──► Kept, and hyper gets a head to which the service answers with the reason
//! ```

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use hezar_engine::{Prefixed, Stream, http::head_end};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    body_end::BodyEnd,
    request_head::{RequestHead, RequestRoute},
    write_timeout::WriteTimeout,
};
use crate::{Refusal, access, context, inbound::ClientSocket, relay::poll_discard};

/// The most that is taken from a client while it waits for the answer to CONNECT or to an upgrade.
const EARLY_BYTES: usize = 64 * 1024;
/// How long a client whose request was not read to its end is heard out, so that it can read the answer.
const LINGER: Duration = Duration::from_secs(2);

/// The routes of the heads that hyper has been given, in their order. Each request takes the one that belongs to it.
pub(super) type Queue = Arc<Mutex<VecDeque<RequestRoute>>>;

#[derive(Debug)]
enum HeadSearch {
    /// A head comes next.
    Head,
    /// A body, and then a head, or nothing that is HTTP.
    Body { end: BodyEnd, leaves_http: bool },
    /// What comes is kept as it is.
    Kept,
}

/// The client's stream under HTTP.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: ClientSocket,
    state: HeadSearch,
    /// Bytes of the client that are not used yet.
    raw: BytesMut,
    /// How many of them hold no end of a head for certain.
    searched: usize,
    /// A head for hyper, as far as it has not been given out.
    ready: Bytes,
    context: Arc<context::Context>,
    queue: Queue,
    linger: Option<Pin<Box<Sleep>>>,
    write_timeout: WriteTimeout,
}

impl ClientStream {
    /// The stream of a client from which `front` was read already.
    pub(super) fn new(stream: ClientSocket, front: BytesMut, context: Arc<context::Context>, queue: Queue) -> Self {
        let (state, ready, linger) = (HeadSearch::Head, Bytes::new(), None);
        let write_timeout = WriteTimeout::new(context.config().idle_timeout);
        Self { stream, state, raw: front, searched: 0, ready, context, queue, linger, write_timeout }
    }

    /// The client when HTTP has ended; `read` was given to hyper and not used by it.
    pub(super) fn into_client(self, read: Bytes) -> Prefixed<ClientSocket> {
        let front = match (read.is_empty(), self.raw.is_empty()) {
            // An empty front would hold its buffer for as long as the tunnel lives.
            (true, true) => Bytes::new(),
            (false, true) => read,
            (true, false) => self.raw.freeze(),
            (false, false) => [read, self.raw.freeze()].concat().into(),
        };
        Prefixed::new(front, self.stream)
    }

    /// Makes the next head ready for hyper when it has arrived; false when more of it is needed.
    fn next_head(&mut self) -> bool {
        if self.searched == 0 {
            // A blank line before the request is allowed (RFC 9112 §2.2).
            let blank = self.raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.raw.advance(blank);
        }
        let end = head_end(&self.raw, self.searched);
        let read = match end {
            _ if self.raw.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) => {
                Err(Refusal::BadRequest("these bytes are no HTTP request"))
            }
            _ if end.unwrap_or(self.raw.len()) > self.context.config().max_head => Err(Refusal::HeaderTooLarge),
            Some(end) => RequestHead::read(&self.raw.split_to(end)),
            None => {
                self.searched = self.raw.len();
                return false;
            }
        };
        let RequestHead { route, bytes, body } = read.unwrap_or_else(RequestHead::refused);
        self.state = HeadSearch::Body { end: body, leaves_http: route.leaves_http };
        (self.ready, self.searched) = (bytes.into(), 0);
        if self.raw.is_empty() {
            // An idle connection holds no buffer.
            self.raw = BytesMut::new();
        }
        self.queue.lock().push_back(route);
        true
    }

    /// Reads into `raw`, through the free room of `buf`; false at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        self.raw.extend_from_slice(fresh);
        let more = !fresh.is_empty();
        buf.set_filled(before);
        Poll::Ready(Ok(more))
    }

    /// Keeps what comes. Ends only when the client is gone without having said anything more.
    fn poll_keep(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.raw.len() < EARLY_BYTES {
            if ready!(self.poll_more(cx, buf))? {
                continue;
            }
            if self.raw.is_empty() {
                return Poll::Ready(Ok(()));
            }
            break;
        }
        // It has closed its half, or has to wait: the answer wakes hyper.
        Poll::Pending
    }

    /// Whether closing now would throw bytes of the client away unread, and with them the answer that it has not read.
    fn is_cut_short(&self) -> bool {
        !self.raw.is_empty() || !matches!(self.state, HeadSearch::Head)
    }

    /// Reads what the client still sends, within bounds, until it closes (RFC 9112 §9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.raw = BytesMut::new();
        loop {
            match ready!(poll_discard(&mut self.stream, cx, access::READ_SIZE)) {
                Ok(1..) if self.context.access.reject_budget.allows_read() => {}
                Ok(_) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                let room = buf.remaining().min(this.ready.len());
                buf.put_slice(&this.ready.split_to(room));
                return Poll::Ready(Ok(()));
            }
            match &mut this.state {
                HeadSearch::Head => {
                    if !this.next_head() && !ready!(this.poll_more(cx, buf))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                HeadSearch::Body { end, leaves_http } if end.is_over() => {
                    this.state = if *leaves_http { HeadSearch::Kept } else { HeadSearch::Head };
                }
                HeadSearch::Body { end, .. } => {
                    if this.raw.is_empty() {
                        let before = buf.filled().len();
                        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
                        let fresh = buf.filled().get(before..).unwrap_or_default();
                        let taken = end.take(fresh).map_err(malformed)?;
                        this.raw.extend_from_slice(fresh.get(taken..).unwrap_or_default());
                        buf.set_filled(before + taken);
                    } else {
                        let room = buf.remaining().min(this.raw.len());
                        let taken = end.take(this.raw.get(..room).unwrap_or_default()).map_err(malformed)?;
                        buf.put_slice(&this.raw.split_to(taken));
                    }
                    return Poll::Ready(Ok(()));
                }
                HeadSearch::Kept => return this.poll_keep(cx, buf),
            }
        }
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.write_timeout.bound(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.write_timeout.bound(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !self.is_cut_short() {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_linger(cx)
    }
}

impl Stream for ClientStream {}
