//! The pool as a dialer: what `via = "pool"` fetches through.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use hezar_core::{Stage, Target};
use hezar_engine::{Attempt, BoxStream, Cause, Clock, DialError, Dialer, Outbounds};
use hezar_pool::{Origin, Outcome, Query, Strategy};

use crate::instance::Nodes;

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
