//! The upload of packet-up: a task that lives as long as the stream sends what is written in one request after another. What
//! waits for the task is bounded, so a writer waits when the server does not keep up.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::PollSender, task::AbortOnDropHandle};

use super::plan::{Plan, random_in};
use crate::Cause;

/// The most bytes taken by one write.
const PIECE: usize = 16 * 1024;
/// The pieces that wait for the task.
const WAITING: usize = 16;
/// How long one request may take, its answer included.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a new connection for a request may take.
pub(super) const NEW_CONNECTION: Duration = Duration::from_secs(15);
/// The most of an answer that is read, in bytes.
pub(super) const MOST_ANSWER: usize = 64 * 1024;

/// The length of the body of an answer so far. The body is padding, which is thrown away.
#[derive(Default)]
pub(super) struct PaddingLength(usize);

impl PaddingLength {
    /// Counts what came.
    ///
    /// # Errors
    /// When the answer is longer than [`MOST_ANSWER`].
    pub(super) const fn heard(&mut self, length: usize) -> Result<(), Cause> {
        self.0 = self.0.saturating_add(length);
        if self.0 > MOST_ANSWER {
            return Err(Cause::Protocol("the answer to an XHTTP upload does not end"));
        }
        Ok(())
    }
}

/// Sends one piece of the upload and waits for its answer.
pub(super) trait Post: Send + 'static {
    /// The requests that may be under way at the same time.
    const AT_ONCE: usize;

    /// Sends piece `number`.
    fn post(&mut self, number: u64, body: Bytes) -> impl Future<Output = Result<(), Cause>> + Send + 'static;
}

/// The writing end.
pub(super) struct Packets {
    pieces: PollSender<Bytes>,
    most: usize,
    task: Option<AbortOnDropHandle<Result<(), Cause>>>,
}

impl Packets {
    /// Starts the task.
    pub(super) fn start<P: Post>(plan: &Arc<Plan>, post: P) -> Self {
        let most = random_in(&plan.extra.post).max(1) as usize;
        let (pieces, receiver) = mpsc::channel(WAITING);
        let task = AbortOnDropHandle::new(tokio::spawn(send(Arc::clone(plan), most, receiver, post)));
        Self { pieces: PollSender::new(pieces), most, task: Some(task) }
    }

    /// Ready with the reason when the task has failed; the reader asks, since it is the one that always waits.
    pub(super) fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        let Some(task) = &mut self.task else { return Poll::Pending };
        let ended = ready!(Pin::new(task).poll(cx));
        self.task = None;
        match ended {
            Ok(Err(cause)) => Poll::Ready(cause),
            Ok(Ok(())) => Poll::Pending,
            Err(_) => Poll::Ready(Cause::Closed),
        }
    }

    /// Takes some of `bytes`.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.pieces.poll_reserve(cx)).map_err(gone)?;
        let piece = bytes.get(..bytes.len().min(PIECE).min(self.most)).unwrap_or_default();
        if !piece.is_empty() {
            self.pieces.send_item(Bytes::copy_from_slice(piece)).map_err(gone)?;
        }
        Poll::Ready(Ok(piece.len()))
    }

    /// Ends the upload. XHTTP has no sign for that, so the task sends what waits and ends.
    pub(super) fn close(&mut self) {
        self.pieces.close();
    }
}

/// The task.
async fn send<P: Post>(
    plan: Arc<Plan>,
    most: usize,
    mut pieces: mpsc::Receiver<Bytes>,
    mut post: P,
) -> Result<(), Cause> {
    let mut under_way = FuturesUnordered::new();
    let (mut number, mut left_over, mut free) = (0, None, Instant::now());
    loop {
        let first = match left_over.take() {
            Some(piece) => Some(piece),
            None => loop {
                tokio::select! {
                    Some(done) = under_way.next(), if !under_way.is_empty() => answered(done)?,
                    piece = pieces.recv() => break piece,
                }
            },
        };
        let Some(first) = first else { break };
        // The pause: what is written meanwhile goes with this request.
        while !under_way.is_empty() && (Instant::now() < free || under_way.len() >= P::AT_ONCE) {
            let full = under_way.len() >= P::AT_ONCE;
            tokio::select! {
                Some(done) = under_way.next() => answered(done)?,
                () = sleep_until(free), if !full => break,
            }
        }
        sleep_until(free).await;
        let mut body = BytesMut::from(first);
        while let Ok(piece) = pieces.try_recv() {
            if body.len() + piece.len() > most {
                left_over = Some(piece);
                break;
            }
            body.extend_from_slice(&piece);
        }
        free = Instant::now() + Duration::from_millis(random_in(&plan.extra.pause).into());
        under_way.push(timeout(PATIENCE, post.post(number, body.freeze())));
        number += 1;
    }
    while let Some(done) = under_way.next().await {
        answered(done)?;
    }
    Ok(())
}

fn answered(done: Result<Result<(), Cause>, tokio::time::error::Elapsed>) -> Result<(), Cause> {
    done.unwrap_or(Err(Cause::Timeout))
}
