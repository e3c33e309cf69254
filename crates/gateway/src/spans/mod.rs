//! Spans of single requests and their attempts, for whoever exports traces; nothing is kept of requests that are not sampled.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hezar_core::{NodeId, Stage, Target, Timestamp};
use parking_lot::Mutex;
use tokio::{sync::mpsc, time::Instant};

#[cfg(test)]
mod tests;

/// The most attempts that are kept of one request: as many as one may have, and hedges.
const MAX_ATTEMPTS: usize = 64;

/// A request that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestSpan {
    /// The id of its trace (W3C Trace Context).
    pub trace_id: [u8; 16],
    /// The id of the span.
    pub span_id: [u8; 8],
    /// When it was let in, to the millisecond.
    pub begun: Timestamp,
    /// From then until its last byte.
    pub took: Duration,
    /// The listener that the client came to.
    pub listener: Arc<str>,
    /// How it came in: `http`, `connect`, `socks4`, `socks5` or `socks5-udp`.
    pub inbound: &'static str,
    /// Where it went; absent for an association.
    pub target: Option<Target>,
    /// The stable code; `ok` when it was served.
    pub code: &'static str,
    /// The node that served it last.
    pub node: Option<NodeId>,
    /// Bytes from the client to nodes, and back.
    pub bytes: (u64, u64),
    /// The attempts over single nodes, those that ended first in front.
    pub attempts: Vec<AttemptSpan>,
}

/// An attempt of a request over one node: from the beginning of the dial to the first byte of the answer, or to the failure.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptSpan {
    /// The id of the span.
    pub span_id: [u8; 8],
    /// The node.
    pub node: NodeId,
    /// How long after the request it began.
    pub after: Duration,
    /// How long it took.
    pub took: Duration,
    /// The stable code; `ok` when the node has answered, `unproven` when nobody waited for that.
    pub code: &'static str,
    /// Where it failed.
    pub stage: Option<Stage>,
}

/// How a request has ended, as its log entry knows it.
#[derive(Debug)]
pub(crate) struct RequestEnd {
    pub(crate) listener: Arc<str>,
    pub(crate) inbound: &'static str,
    pub(crate) target: Option<Target>,
    pub(crate) code: &'static str,
    pub(crate) node: Option<NodeId>,
    pub(crate) bytes: (u64, u64),
}

/// Chooses the requests whose spans are kept, and hands them over when they end. Clones share everything.
#[derive(Clone)]
pub struct RequestTracer(Arc<Tracer>);

struct Tracer {
    /// Of 100 requests so many are sampled.
    percent: AtomicU32,
    queue: mpsc::Sender<RequestSpan>,
    dropped: AtomicU64,
}

impl fmt::Debug for RequestTracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTracer").field("percent", &self.0.percent).finish_non_exhaustive()
    }
}

impl RequestTracer {
    /// A tracer that samples nothing yet, and where its spans come out. At most `capacity` spans wait there; further ones are dropped.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<RequestSpan>) {
        let (queue, spans) = mpsc::channel(capacity.max(1));
        let tracer = Tracer { percent: AtomicU32::new(0), queue, dropped: AtomicU64::new(0) };
        (Self(Arc::new(tracer)), spans)
    }

    /// From now on so many of 100 requests are sampled; with 0 a request costs no more than a look at this number.
    pub fn set_percent(&self, percent: u32) {
        self.0.percent.store(percent.min(100), Relaxed);
    }

    /// The spans that were dropped since the start, because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// The trace of a request that begins now, if it is sampled.
    pub(crate) fn begin(&self, now: Timestamp) -> TraceHandle {
        let percent = self.0.percent.load(Relaxed);
        if percent == 0 || rand::random::<u32>() % 100 >= percent {
            return TraceHandle::default();
        }
        TraceHandle(Some(Arc::new(RequestTrace {
            tracer: Arc::clone(&self.0),
            trace_id: rand::random(),
            begun: now,
            started: Instant::now(),
            attempts: Mutex::default(),
        })))
    }
}

impl Default for RequestTracer {
    /// A tracer whose spans nobody takes.
    fn default() -> Self {
        Self::new(1).0
    }
}

/// The trace of a request that is under way.
struct RequestTrace {
    tracer: Arc<Tracer>,
    trace_id: [u8; 16],
    begun: Timestamp,
    started: Instant,
    attempts: Mutex<Vec<AttemptSpan>>,
}

/// The trace of a request, if it is sampled. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct TraceHandle(Option<Arc<RequestTrace>>);

impl fmt::Debug for TraceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceHandle").field(&self.0.is_some()).finish()
    }
}

/// Traces say nothing about who somebody is.
impl PartialEq for TraceHandle {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TraceHandle {}

impl TraceHandle {
    /// An attempt over a node that began at `started` has ended now.
    pub(crate) fn attempt(&self, node: NodeId, started: Instant, code: &'static str, stage: Option<Stage>) {
        let Some(trace) = &self.0 else { return };
        let mut attempts = trace.attempts.lock();
        if attempts.len() < MAX_ATTEMPTS {
            let after = started.saturating_duration_since(trace.started);
            let (span_id, took) = (rand::random(), started.elapsed());
            attempts.push(AttemptSpan { span_id, node, after, took, code, stage });
        }
    }

    /// The request has ended: its span is handed over.
    pub(crate) fn finish(&mut self, end: impl FnOnce() -> RequestEnd) {
        let Some(trace) = self.0.take() else { return };
        let RequestEnd { listener, inbound, target, code, node, bytes } = end();
        let span = RequestSpan {
            trace_id: trace.trace_id,
            span_id: rand::random(),
            begun: trace.begun,
            took: trace.started.elapsed(),
            listener,
            inbound,
            target,
            code,
            node,
            bytes,
            attempts: std::mem::take(&mut *trace.attempts.lock()),
        };
        if trace.tracer.queue.try_send(span).is_err() {
            trace.tracer.dropped.fetch_add(1, Relaxed);
        }
    }
}
