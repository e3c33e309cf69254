//! Lets the kernel move bytes from one socket to another through a pipe (`splice(2)`); they never enter this program.

use std::{
    io,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{io::Interest, net::TcpStream};

/// What a pipe holds, in bytes; the system may give less.
const ROOM: usize = 256 * 1024;
/// Empty pipes that are kept for the next busy moment; a tunnel has one only while bytes are on their way.
const SPARE: usize = 32;

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

static SPARES: Mutex<Vec<Pipe>> = Mutex::new(Vec::new());

/// Whether any tunnel ever needed a pipe.
#[cfg(test)]
pub(super) fn used() -> bool {
    !SPARES.lock().is_empty()
}

/// The two ends.
#[derive(Debug)]
struct Pipe {
    exit: OwnedFd,
    entry: OwnedFd,
}

impl Pipe {
    fn take() -> io::Result<Self> {
        if let Some(pipe) = SPARES.lock().pop() {
            return Ok(pipe);
        }
        let (exit, entry) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // An unprivileged user has a quota for large pipes; a small one does the same with more calls.
        let _ = fcntl_setpipe_size(&entry, ROOM);
        Ok(Self { exit, entry })
    }

    /// Keeps an empty one for others.
    fn spare(self) {
        let mut spares = SPARES.lock();
        if spares.len() < SPARE {
            spares.push(self);
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Splice {
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
}

/// Why nothing could be moved.
pub(super) enum Failure {
    /// The reading side failed.
    From(io::Error),
    /// The writing side failed.
    To(io::Error),
    /// There is no pipe, or the system cannot do it for these sockets: the bytes are still where they were.
    Unable,
}

impl Splice {
    /// Moves once: into the pipe or out of it. Gives how many bytes arrived at `to` and whether `from` has ended.
    pub(super) fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<Result<Moved, Failure>> {
        if self.held > 0 {
            return self.poll_out(cx, to).map_ok(Moved::Bytes).map_err(Failure::To);
        }
        match self.poll_in(cx, from) {
            Poll::Ready(Ok(0)) => {
                self.rest();
                Poll::Ready(Ok(Moved::End))
            }
            Poll::Ready(Ok(read)) => {
                self.held = read;
                Poll::Ready(Ok(Moved::Bytes(0)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.rest();
                Poll::Pending
            }
        }
    }

    fn rest(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.spare();
        }
    }

    fn poll_in(&mut self, cx: &mut Context<'_>, from: &TcpStream) -> Poll<Result<usize, Failure>> {
        loop {
            ready!(from.poll_read_ready(cx)).map_err(Failure::From)?;
            let pipe = match &self.pipe {
                Some(pipe) => pipe,
                None => self.pipe.insert(Pipe::take().map_err(|_| Failure::Unable)?),
            };
            // The pipe is empty: what would block is the socket.
            let result = from.try_io(Interest::READABLE, || Ok(splice(from, None, &pipe.entry, None, ROOM, FLAGS)?));
            if would_block(&result) {
                continue;
            }
            return Poll::Ready(result.map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput => Failure::Unable,
                _ => Failure::From(error),
            }));
        }
    }

    fn poll_out(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<usize>> {
        let Some(pipe) = &self.pipe else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        loop {
            ready!(to.poll_write_ready(cx))?;
            let result = to.try_io(Interest::WRITABLE, || Ok(splice(&pipe.exit, None, to, None, self.held, FLAGS)?));
            if would_block(&result) {
                continue;
            }
            let written = result?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held = self.held.saturating_sub(written);
            return Poll::Ready(Ok(written));
        }
    }
}

fn would_block(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// What one step did.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moved {
    /// So many bytes arrived.
    Bytes(usize),
    /// There are no more.
    End,
}
