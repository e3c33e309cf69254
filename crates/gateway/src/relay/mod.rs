//! Copies bytes both ways between a client and a node. It keeps half-closes, bounds the idle time and holds no buffer while idle.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use hezar_engine::Stream;
#[cfg(target_os = "linux")]
use splice::{Failure, Moved};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};

#[cfg(target_os = "linux")]
mod splice;
#[cfg(test)]
mod tests;

/// Read at a time. A little less than four full pieces of TLS or Shadowsocks, so that with what a protocol puts around it no
/// fifth, tiny one follows.
const CHUNK: usize = 63 * 1024;

thread_local! {
    /// Each thread's one chunk: read into during a poll only, so that tunnels need none of their own, and written once with zeroes,
    /// so that ciphers can write into it.
    static SHARED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's chunk.
fn with_chunk<T>(work: impl FnOnce(&mut ReadBuf<'_>) -> T) -> T {
    let mut chunk = SHARED.take();
    chunk.resize(CHUNK, 0);
    let result = work(&mut ReadBuf::new(&mut chunk));
    SHARED.set(chunk);
    result
}

/// The idle time once the node has ended its side: a client that has got everything and does not hang up is gone.
const AFTER_NODE: Duration = Duration::from_secs(60);
/// Chunks moved before other tasks get a turn.
const TURNS: usize = 16;
/// So many tunnels of a user may move their chunks at the same time without overshooting its quota by much.
const TUNNELS: u64 = 64;

/// The chunks that a direction may move at a time. When the user has little left, many tunnels together must not overshoot.
fn turns_within(allowance: u64) -> usize {
    usize::try_from(allowance / (TUNNELS * CHUNK as u64)).unwrap_or(TURNS).clamp(1, TURNS)
}

/// Reads what is there, at most one chunk, behind what `into` has; no room is taken before something comes.
pub(crate) async fn read_some<F>(from: &mut F, into: &mut BytesMut) -> io::Result<usize>
where
    F: AsyncRead + Unpin + ?Sized,
{
    read_at_most(from, into, CHUNK).await
}

/// As [`read_some`], at most `most` bytes.
pub(crate) async fn read_at_most<F>(from: &mut F, into: &mut BytesMut, most: usize) -> io::Result<usize>
where
    F: AsyncRead + Unpin + ?Sized,
{
    poll_fn(|cx| {
        with_chunk(|chunk| {
            let mut part = chunk.take(most);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut part))?;
            into.extend_from_slice(part.filled());
            Poll::Ready(Ok(part.filled().len()))
        })
    })
    .await
}

/// Reads at most `most` bytes that nobody wants, and returns how many came.
pub(crate) fn poll_discard<F>(from: &mut F, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>>
where
    F: AsyncRead + Unpin + ?Sized,
{
    with_chunk(|chunk| {
        let mut part = chunk.take(most);
        ready!(Pin::new(from).poll_read(cx, &mut part))?;
        Poll::Ready(Ok(part.filled().len()))
    })
}

/// From how many bytes on a direction is worth a pipe, where the kernel can move them alone.
#[cfg(target_os = "linux")]
const WORTH_A_PIPE: u64 = 128 * 1024;

/// How a relay ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Both sides closed.
    Closed,
    /// Nothing moved for the idle time.
    Idle,
    /// The client's side failed.
    Client,
    /// The node's side failed.
    Node(io::Error),
}

/// Whose stream an error came from.
enum Side {
    From(io::Error),
    To(io::Error),
}

/// One direction.
#[derive(Default)]
struct Pump {
    /// Read and not yet written; empty most of the time.
    rest: Vec<u8>,
    written: usize,
    moved: u64,
    unflushed: bool,
    ended: bool,
    shut: bool,
    #[cfg(target_os = "linux")]
    splice: splice::Splice,
    /// Whether splicing was tried and is not possible, or not any more.
    #[cfg(target_os = "linux")]
    copying: bool,
}

/// Moves bytes until both directions have ended. While they move, `moved` is told how many: up, down, and whether the node's
/// first bytes are among them. `allowance` says how many bytes may still move: when they are few, `moved` is told of each chunk.
pub(crate) async fn relay<C, N>(
    client: &mut C,
    node: &mut N,
    idle: Duration,
    mut moved: impl FnMut(u64, u64, bool),
    allowance: impl Fn() -> u64,
) -> End
where
    C: Stream + ?Sized,
    N: Stream + ?Sized,
{
    let (mut up, mut down) = (Pump::default(), Pump::default());
    let (mut up_before, mut down_before) = (0, 0);
    let mut last_move = Instant::now();
    let mut bound = idle;
    let mut alarm = pin!(sleep_until(last_move + bound));
    poll_fn(|cx| {
        let turns = turns_within(allowance());
        let up_result = up.poll(cx, client, node, turns);
        let down_result = down.poll(cx, node, client, turns);
        if (up_before, down_before) != (up.moved, down.moved) {
            moved(up.moved - up_before, down.moved - down_before, down_before == 0 && down.moved > 0);
            (up_before, down_before) = (up.moved, down.moved);
            last_move = Instant::now();
        }
        match (up_result, down_result) {
            (Poll::Ready(Err(Side::From(_))), _) | (_, Poll::Ready(Err(Side::To(_)))) => {
                return Poll::Ready(End::Client);
            }
            (Poll::Ready(Err(Side::To(error))), _) | (_, Poll::Ready(Err(Side::From(error)))) => {
                return Poll::Ready(End::Node(error));
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Closed),
            _ => {}
        }
        if down.shut && bound > AFTER_NODE {
            bound = AFTER_NODE;
            alarm.as_mut().reset(last_move + bound);
        }
        // The alarm is moved only when it rings: a busy tunnel does not touch the timer for every chunk.
        while alarm.as_mut().poll(cx).is_ready() {
            if last_move.elapsed() >= bound {
                return Poll::Ready(End::Idle);
            }
            alarm.as_mut().reset(last_move + bound);
        }
        Poll::Pending
    })
    .await
}

impl Pump {
    /// Moves what can be moved now; ready when `from` has ended, all is written and `to` is shut down.
    fn poll<F, T>(&mut self, cx: &mut Context<'_>, from: &mut F, to: &mut T, turns: usize) -> Poll<Result<(), Side>>
    where
        F: Stream + ?Sized,
        T: Stream + ?Sized,
    {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..turns {
            ready!(self.poll_rest(cx, to)).map_err(Side::To)?;
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Side::To)?;
                self.shut = true;
                return Poll::Ready(Ok(()));
            }
            let moved = match self.poll_spliced(cx, from, to) {
                Some(moved) => moved?,
                None => self.poll_chunk(cx, from, to)?,
            };
            if moved.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(Side::To)?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets the kernel move what is there; absent when these two are no bare sockets, or little has come so far.
    #[cfg(target_os = "linux")]
    fn poll_spliced<F, T>(&mut self, cx: &mut Context<'_>, from: &F, to: &T) -> Option<Poll<Result<(), Side>>>
    where
        F: Stream + ?Sized,
        T: Stream + ?Sized,
    {
        if self.copying || self.moved < WORTH_A_PIPE {
            return None;
        }
        let moved = match self.splice.poll_move(cx, from.socket()?, to.socket()?) {
            Poll::Pending => return Some(Poll::Pending),
            Poll::Ready(moved) => moved,
        };
        match moved {
            Ok(Moved::Bytes(bytes)) => self.moved += bytes as u64,
            // Only the stream itself knows whether the end of its socket is the end of what was sent.
            Ok(Moved::End) => {
                self.copying = true;
                return None;
            }
            Err(Failure::From(error)) => return Some(Poll::Ready(Err(Side::From(error)))),
            Err(Failure::To(error)) => return Some(Poll::Ready(Err(Side::To(error)))),
            Err(Failure::Unable) => {
                self.copying = true;
                return None;
            }
        }
        Some(Poll::Ready(Ok(())))
    }

    #[cfg(not(target_os = "linux"))]
    fn poll_spliced<F, T>(&mut self, _: &mut Context<'_>, _: &F, _: &T) -> Option<Poll<Result<(), Side>>>
    where
        F: ?Sized,
        T: ?Sized,
    {
        None
    }

    fn poll_rest<T: AsyncWrite + Unpin + ?Sized>(&mut self, cx: &mut Context<'_>, to: &mut T) -> Poll<io::Result<()>> {
        while self.written < self.rest.len() {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.rest[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        if !self.rest.is_empty() {
            // Given back, not kept: thousands of tunnels are idle at a time.
            self.rest = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_chunk<F, T>(&mut self, cx: &mut Context<'_>, from: &mut F, to: &mut T) -> Poll<Result<(), Side>>
    where
        F: AsyncRead + Unpin + ?Sized,
        T: AsyncWrite + Unpin + ?Sized,
    {
        with_chunk(|chunk| self.poll_through(cx, from, to, chunk))
    }

    /// Reads into the chunk once and writes what came.
    fn poll_through<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
        chunk: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Side>>
    where
        F: AsyncRead + Unpin + ?Sized,
        T: AsyncWrite + Unpin + ?Sized,
    {
        ready!(Pin::new(from).poll_read(cx, chunk)).map_err(Side::From)?;
        let read = chunk.filled();
        if read.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        self.moved += read.len() as u64;
        self.unflushed = true;
        let written = match Pin::new(to).poll_write(cx, read) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Side::To(io::ErrorKind::WriteZero.into()))),
            Poll::Ready(written) => written.map_err(Side::To)?,
            Poll::Pending => 0,
        };
        self.rest.extend_from_slice(&read[written..]);
        Poll::Ready(Ok(()))
    }
}
