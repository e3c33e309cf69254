//! What carries the fetches of a source: this machine's own sockets, the nodes of the pool, or whichever of them works.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use hezar_core::{Stage, Target};
use hezar_engine::{Attempt, BoxStream, Cause, Clock, DialError, Dialer, Outbounds};
use hezar_pool::{Origin, Outcome, Query, Strategy};

use crate::instance::Nodes;

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
    pub(crate) outbounds: Outbounds,
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
        let mut tried = Vec::with_capacity(ATTEMPTS);
        let mut failure =
            DialError::new(Stage::Connect, Cause::Unsupported("fetching through a pool without a working node is"));
        while tried.len() < ATTEMPTS {
            let query = Query { strategy: Strategy::Smart, exclude_servers: &tried, ..Query::default() };
            let Some(lease) = self.pool.pick(&query, rand::random()) else { break };
            tried.push(lease.server_key());
            let share = attempt.remaining() / 2;
            let started = Instant::now();
            let Ok(dialer) = lease.payload(|node| self.outbounds.dialer(node.spec(), node.allow_private())) else {
                continue;
            };
            match dialer.connect(target, &attempt.at_most(share)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    tracing::debug!(node = %lease.id(), code = error.code(), elapsed = ?started.elapsed(), "fetch attempt failed");
                    let outcome = Outcome::failure(Origin::Traffic, error.fault(), error.stage, error.code());
                    self.pool.report(lease.id(), &outcome, self.clock.now());
                    failure = error;
                }
            }
        }
        Err(failure)
    }
}
