//! What carries the fetches of a source: this machine's own sockets, the nodes of the pool, or whichever of them works.

use std::{
    io, iter,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hezar_core::{Fault, Stage, Target};
use hezar_engine::{AddressPolicy, Attempt, BoxStream, Cause, Clock, DialError, Dialer, Engine, RequestForm, Stream};
use hezar_pool::{Lease, Need, Origin, Outcome, Query, Strategy};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::nodes::{Nodes, Payload};

/// The dialers that a source is fetched through, one after the other until something useful comes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FetchRoutes {
    first: Arc<dyn Dialer>,
    second: Option<Arc<dyn Dialer>>,
    /// Whether the second one is tried first, because it was the one that worked last.
    swapped: Arc<AtomicBool>,
}

impl FetchRoutes {
    /// One dialer and no other.
    pub(crate) fn only(dialer: Arc<dyn Dialer>) -> Self {
        Self { first: dialer, second: None, swapped: Arc::default() }
    }

    /// A dialer, and another one that is tried when the first brings nothing useful.
    pub(crate) fn either(first: Arc<dyn Dialer>, second: Arc<dyn Dialer>) -> Self {
        Self { first, second: Some(second), swapped: Arc::default() }
    }

    /// The dialers in the order in which they are tried. A blocked way may take a minute to fail, so that the one that
    /// worked last comes first.
    pub(crate) fn in_order(&self) -> Vec<Arc<dyn Dialer>> {
        let mut dialers: Vec<_> = iter::once(&self.first).chain(&self.second).cloned().collect();
        if self.swapped.load(Ordering::Relaxed) {
            dialers.reverse();
        }
        dialers
    }

    /// Notes which of [`FetchRoutes::in_order`] brought something useful.
    pub(crate) fn worked(&self, place: usize) {
        if place > 0 {
            self.swapped.fetch_xor(true, Ordering::Relaxed);
        }
    }
}

/// Nodes tried for one connection.
const ATTEMPTS: usize = 4;

/// Dials every target over a node of the pool, and another one when that fails. Never directly.
pub(crate) struct PoolDialer {
    pub(crate) pool: Arc<Nodes>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Clock,
}

impl std::fmt::Debug for PoolDialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolDialer").finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for PoolDialer {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let (stream, _) = self.dial(target, Need::Tunnel(target.port()), attempt).await?;
        Ok(stream)
    }

    async fn connect_for_http(
        &self,
        target: &Target,
        attempt: &Attempt,
    ) -> Result<(BoxStream, RequestForm), DialError> {
        self.dial(target, Need::Plain { port: target.port(), allow_transparent: false }, attempt).await
    }
}

impl PoolDialer {
    async fn dial(
        &self,
        target: &Target,
        need: Need,
        attempt: &Attempt,
    ) -> Result<(BoxStream, RequestForm), DialError> {
        let mut tried = Vec::with_capacity(ATTEMPTS);
        let mut failure =
            DialError::new(Stage::Connect, Cause::Unsupported("fetching through a pool without a working node is"));
        while tried.len() < ATTEMPTS {
            let query = Query {
                strategy: Strategy::Smart,
                exclude_servers: &tried,
                need,
                now: Some(self.clock.now()),
                ..Query::default()
            };
            let Some(lease) = self.pool.pick(&query, rand::random()) else { break };
            tried.push(lease.server_key());
            let dialer = match lease
                .payload(|node| self.engine.dialer(node.spec(), AddressPolicy::allowing_private(node.allow_private())))
            {
                Ok(dialer) => dialer,
                Err(error) => {
                    self.pool.mark_unsupported(lease.id(), error.code());
                    continue;
                }
            };
            let started = Instant::now();
            let attempt = attempt.at_most(attempt.remaining() / 2);
            let connected = if need.is_absolute(lease.http_ability()) {
                dialer.connect_for_http(target, &attempt).await
            } else {
                dialer.connect(target, &attempt).await.map(|stream| (stream, RequestForm::Origin))
            };
            match connected {
                Ok((stream, form)) => {
                    let proof = Proof {
                        pool: Arc::clone(&self.pool),
                        clock: self.clock,
                        lease,
                        took: started.elapsed(),
                        reported: false,
                    };
                    return Ok((Box::new(ProvenStream { stream, proof }), form));
                }
                Err(error) => {
                    tracing::debug!(node = %lease.id(), code = error.code(), elapsed = ?started.elapsed(), "fetch attempt failed");
                    // What is this machine's own fault speaks against no node.
                    if error.fault() != Fault::Local {
                        let outcome = Outcome::failure(Origin::Traffic, error.fault(), error.stage, error.code());
                        self.pool.report(lease.id(), &outcome, self.clock.now());
                    }
                    failure = error;
                }
            }
        }
        Err(failure)
    }
}

/// What is reported when a node has answered: many protocols have no answer of their own to a request for a target, so
/// that a connection proves little and the first byte proves that the node works.
struct Proof {
    pool: Arc<Nodes>,
    clock: Clock,
    /// Counts as load until the stream ends.
    lease: Lease<Payload>,
    took: Duration,
    reported: bool,
}

impl Proof {
    /// Tells the pool, once.
    fn report(&mut self) {
        if !std::mem::replace(&mut self.reported, true) {
            let outcome = Outcome::success(Origin::Traffic, self.took);
            self.pool.report(self.lease.id(), &outcome, self.clock.now());
        }
    }
}

/// A stream through a node, which tells the pool once that the node works.
struct ProvenStream {
    stream: BoxStream,
    proof: Proof,
}

impl Stream for ProvenStream {}

impl AsyncRead for ProvenStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.proof.report();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ProvenStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use hezar_core::Timestamp;
    use hezar_engine::{BuildError, NativeEngine, NativeEngineConfig};
    use hezar_pool::{PoolChange, Rules, State};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A node that brings one byte from every target, or refuses them all; counted.
    #[derive(Debug)]
    struct Fake {
        works: bool,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Dialer for Fake {
        async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if !self.works {
                return Err(DialError::new(Stage::Connect, Cause::Refused));
            }
            let (ours, mut theirs) = tokio::io::duplex(16);
            theirs.write_all(b"x").await.unwrap();
            Ok(Box::new(ours))
        }
    }

    /// When the nodes were found to work.
    const PROBED: Timestamp = Timestamp(1);

    /// A pool of two healthy nodes, the first of which refuses everything.
    fn pool(clock: Clock) -> (Arc<Nodes>, [Arc<Fake>; 2]) {
        let pool = Arc::new(Nodes::new(Rules::default()));
        let parsed = hezar_formats::parse(b"socks5://11.0.0.1:1080\nsocks5://11.0.0.2:1080\n");
        let nodes: Vec<_> = parsed.nodes.into_iter().map(|entry| (entry.spec, entry.label)).collect();
        let ids: Vec<_> = nodes.iter().map(|(spec, _)| spec.id()).collect();
        pool.apply(
            PoolChange::List { source: "test".into(), allow_private: false, nodes, complete: true },
            clock.now(),
        );
        let fakes = [false, true].map(|works| Arc::new(Fake { works, asked: AtomicUsize::new(0) }));
        for (id, fake) in ids.iter().zip(&fakes) {
            let latency = Duration::from_millis(if fake.works { 1000 } else { 1 });
            pool.report(*id, &Outcome::success(Origin::Probe, latency), PROBED);
            let node = pool.node(*id).unwrap();
            let made: Result<_, BuildError> = node.payload(|_| Ok(Arc::clone(fake) as Payload));
            assert!(made.is_ok());
        }
        (pool, fakes)
    }

    #[tokio::test]
    async fn nodes_answer_for_what_they_did_to_a_fetch() {
        let clock = Clock::start();
        let (pool, [bad, good]) = pool(clock);
        let engine = Arc::new(NativeEngine::new(&NativeEngineConfig::default()));
        let dialer = PoolDialer { pool: Arc::clone(&pool), engine, clock };
        let (target, attempt) = ("lists.test:443".parse().unwrap(), Attempt::within(Duration::from_secs(60)));
        // However often it is asked: once the bad node has failed, its circuit spares the fetches that follow.
        for _ in 0..20 {
            let mut stream = dialer.connect(&target, &attempt).await.unwrap();
            let in_flight = |pool: &Nodes| pool.snapshot().nodes().map(|node| node.in_flight()).sum::<u32>();
            assert_eq!(in_flight(&pool), 1);
            assert_eq!(stream.read_u8().await.unwrap(), b'x');
            drop(stream);
            assert_eq!(in_flight(&pool), 0);
        }
        assert!(bad.asked.load(Ordering::Relaxed) <= 2, "{bad:?}");
        assert_eq!(good.asked.load(Ordering::Relaxed), 20);
        let states: Vec<State> = pool.snapshot().nodes().map(|node| node.record().state).collect();
        assert!(states.contains(&State::Healthy), "{states:?}");
        // Success was reported too: it is younger than that of the probe.
        assert!(pool.snapshot().nodes().any(|node| node.record().last_ok > Some(PROBED)));
    }
}
