//! An association over protocols whose streams carry the datagrams of one target: each target has a stream of its own, which is opened on first use.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::Target;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::packets::unsendable;
use crate::{Attempt, BoxDatagram, BoxStream, Cause, Datagram, DialError, io::copy::copy_packet};

/// The most targets at a time. The stream of the least recently used one is closed to make room for a new one.
const MOST: usize = 64;
/// The most datagrams that wait for a stream that is being opened or is slow. Further ones are dropped.
const QUEUE: usize = 64;
/// The most received datagrams that wait for the reader, over all targets.
const ANSWERS: usize = 64;
/// The time for opening a further stream.
const OPENING: Duration = Duration::from_secs(10);
const MAX_DATAGRAM: usize = 65_535;

/// What a protocol provides: it opens connections, and speaks the protocol over them.
#[async_trait]
pub(crate) trait Opener: Send + Sync + 'static {
    /// A fresh connection to the server.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    async fn open(&self, attempt: &Attempt) -> Result<BoxStream, DialError>;

    /// The target of the stream for datagrams to `target`. Several targets may share a stream.
    fn stream_for(&self, target: &Target) -> Target {
        target.clone()
    }

    /// Speaks the protocol over a fresh connection, for a stream to `target`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Cause`] when the protocol cannot carry datagrams to this target.
    fn lead(&self, io: BoxStream, target: &Target) -> Result<BoxDatagram, Cause>;
}

/// The association.
pub(crate) struct PerTarget {
    shared: Arc<PerTargetShared>,
    flows: Mutex<Flows>,
    answers: Mutex<mpsc::Receiver<Received>>,
}

/// A received datagram with its sender, or the cause for which the whole association has ended.
type Received = Result<(Box<[u8]>, Target), Cause>;
type Outgoing = (Box<[u8]>, Target);

struct PerTargetShared {
    opener: Box<dyn Opener>,
    /// The connection that was opened with the association, for the first stream.
    spare: Mutex<Option<BoxStream>>,
    answer: mpsc::Sender<Received>,
    /// Whether the server has answered on any stream.
    proven: AtomicBool,
}

#[derive(Default)]
struct Flows {
    by_target: HashMap<Target, Flow>,
    clock: u64,
}

struct Flow {
    queue: mpsc::Sender<Outgoing>,
    used: u64,
    _task: AbortOnDropHandle<()>,
}

impl PerTarget {
    /// Connects to the server and keeps the connection for the first target. A dead server is noticed this way.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn open(opener: impl Opener, attempt: &Attempt) -> Result<Self, DialError> {
        let spare = opener.open(attempt).await?;
        let (answer, answers) = mpsc::channel(ANSWERS);
        let shared =
            PerTargetShared { opener: Box::new(opener), spare: Mutex::new(Some(spare)), answer, proven: false.into() };
        Ok(Self { shared: Arc::new(shared), flows: Mutex::default(), answers: Mutex::new(answers) })
    }
}

impl Flows {
    /// The queue of a target's stream, which is opened when there is none.
    fn queue(&mut self, target: Target, shared: &Arc<PerTargetShared>) -> mpsc::Sender<Outgoing> {
        self.clock += 1;
        if let Some(flow) = self.by_target.get_mut(&target).filter(|flow| !flow.queue.is_closed()) {
            flow.used = self.clock;
            return flow.queue.clone();
        }
        self.by_target.retain(|_, flow| !flow.queue.is_closed());
        if self.by_target.len() >= MOST {
            let oldest = self.by_target.iter().min_by_key(|(_, flow)| flow.used).map(|(target, _)| target.clone());
            oldest.and_then(|target| self.by_target.remove(&target));
        }
        let (queue, questions) = mpsc::channel(QUEUE);
        let task = tokio::spawn(Arc::clone(shared).carry(target.clone(), questions));
        let flow = Flow { queue: queue.clone(), used: self.clock, _task: AbortOnDropHandle::new(task) };
        self.by_target.insert(target, flow);
        queue
    }
}

impl PerTargetShared {
    /// Runs the stream of one target until it ends. A failure before the server has answered anything ends the association.
    async fn carry(self: Arc<Self>, target: Target, mut questions: mpsc::Receiver<Outgoing>) {
        let Err(cause) = self.exchange(&target, &mut questions).await else { return };
        tracing::debug!(%target, %cause, "a stream of datagrams ended");
        if !self.proven.load(Relaxed) {
            // Nobody reads this when the association has been dropped.
            let _ = self.answer.send(Err(cause)).await;
        }
    }

    async fn exchange(&self, target: &Target, questions: &mut mpsc::Receiver<Outgoing>) -> Result<(), Cause> {
        let spare = self.spare.lock().take();
        let io = match spare {
            Some(io) => io,
            None => self.opener.open(&Attempt::within(OPENING)).await.map_err(|error| error.cause)?,
        };
        let stream = self.opener.lead(io, target)?;
        let up = async {
            while let Some((payload, target)) = questions.recv().await {
                match stream.send_to(&payload, &target).await {
                    Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(Cause::from(error)),
                    _ => {}
                }
            }
            Ok(())
        };
        let down = async {
            let mut buffer = vec![0; MAX_DATAGRAM];
            loop {
                let (length, from) = stream.recv_from(&mut buffer).await?;
                self.proven.store(true, Relaxed);
                let payload = buffer.get(..length).unwrap_or_default().into();
                if self.answer.send(Ok((payload, from))).await.is_err() {
                    return Ok(());
                }
            }
        };
        tokio::select! {
            result = up => result,
            result = down => result,
        }
    }
}

impl Datagram for PerTarget {
    fn poll_send_to(&self, _: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if payload.len() > MAX_DATAGRAM {
            return Poll::Ready(Err(unsendable("the datagram is too large")));
        }
        let queue = self.flows.lock().queue(self.shared.opener.stream_for(target), &self.shared);
        // A datagram for a full queue is lost, as UDP allows.
        let _ = queue.try_send((payload.into(), target.clone()));
        Poll::Ready(Ok(()))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        // This association holds a sender itself, so the channel never ends before it.
        let (payload, from) = ready!(self.answers.lock().poll_recv(cx)).ok_or(Cause::Closed)??;
        Poll::Ready(Ok((copy_packet(&payload, buffer), from)))
    }
}
