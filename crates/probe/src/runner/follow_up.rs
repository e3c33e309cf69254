//! What a node that works is asked seldom, once its probe is over: where it comes out, and what it gives away.

use std::sync::Arc;

use hezar_core::{NodeId, Timestamp};
use hezar_engine::{AddressPolicy, DialError, Dialer, Tunnelled};
use hezar_pool::{Anonymity, Exit, Origin, Outcome, Success};
use tokio::task::{AbortHandle, Id};

use super::{PoolNode, Runner, TaskResult};
use crate::{
    ProbeResult,
    context::{Payload, ProbeContext},
    intervals::fraction,
};

/// What failed is tried again after this share of the usual interval.
const RETRY_SHARE: u32 = 24;

/// Which questions are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    exit: bool,
    judge: bool,
}

/// The answers to those that were asked.
pub(super) struct FollowUp {
    exit: Option<Result<Exit, DialError>>,
    anonymity: Option<Result<Anonymity, DialError>>,
}

impl Runner {
    /// Starts to ask a node that works what is due.
    pub(super) fn follow_up(&mut self, node: &PoolNode, dialer: Payload, now: Timestamp) -> Option<AbortHandle> {
        let due = Due { exit: self.exit_is_due(node, now), judge: self.judge_is_due(node, now) };
        if !due.exit && !due.judge {
            return None;
        }
        let (context, node) = (Arc::clone(&self.context), Arc::clone(node));
        Some(self.tasks.spawn(async move { TaskResult::FollowedUp(ask(&context, &node, dialer, due).await) }))
    }

    fn exit_is_due(&self, node: &PoolNode, now: Timestamp) -> bool {
        let seen = node.record().exit_seen;
        let fresh = seen.is_some_and(|seen| now.since(seen) < self.context.config.trace_interval);
        let blocked = self.trace_after.get(&node.id()).is_some_and(|after| now < *after);
        self.context.trace.is_some() && !fresh && !blocked
    }

    fn judge_is_due(&mut self, node: &PoolNode, now: Timestamp) -> bool {
        if !self.context.judge.as_ref().is_some_and(|judge| judge.concerns(node)) {
            return false;
        }
        match self.judge_after.get(&node.id()) {
            Some(after) => now >= *after,
            None if node.anonymity().is_none() => true,
            None => {
                // It was asked before this process began: those of which that holds are spread over an interval.
                let pause = self.context.config.trace_interval.mul_f32(fraction(rand::random()));
                self.judge_after.insert(node.id(), now.after(pause));
                false
            }
        }
    }

    pub(super) fn followed_up(&mut self, id: Id, told: FollowUp) {
        let Some(probe) = self.take_current(id) else { return };
        let (node_id, now) = (probe.node.id(), self.now());
        let latency = probe.latency.unwrap_or_default();
        match told.exit {
            Some(Ok(mut exit)) => {
                let known = self.context.geo.as_ref().and_then(|geo| geo.country(exit.ip));
                exit.country = known.or(exit.country);
                self.trace_after.remove(&node_id);
                let success = Success { latency, exit: Some(exit) };
                self.context.pool.report(node_id, &Outcome { origin: Origin::Probe, result: Ok(success) }, now);
            }
            Some(Err(error)) => {
                tracing::debug!(node = %node_id, code = error.code(), "exit lookup failed");
                self.retry_follow_up(node_id, now);
            }
            None => {}
        }
        if let Some(result) = told.anonymity {
            self.judged(node_id, result, now);
        }
        self.answer(node_id, ProbeResult::Works(latency));
        self.end(&probe.node, true, now);
    }

    /// Keeps what the judge saw. One that does not answer says nothing about the node.
    fn judged(&mut self, id: NodeId, result: Result<Anonymity, DialError>, now: Timestamp) {
        let interval = self.context.config.trace_interval;
        let pause = match result {
            Ok(level) => {
                self.context.metrics.judged(level.name());
                self.context.pool.set_anonymity(id, level);
                interval
            }
            Err(error) => {
                tracing::debug!(node = %id, code = error.code(), %error, "the judge gave no answer");
                self.context.metrics.judged("unknown");
                interval / RETRY_SHARE
            }
        };
        self.judge_after.insert(id, now.after(pause));
    }

    /// Notes that the questions failed, so that they are not asked again at every probe.
    pub(super) fn retry_follow_up(&mut self, id: NodeId, now: Timestamp) {
        let after = now.after(self.context.config.trace_interval / RETRY_SHARE);
        self.trace_after.insert(id, after);
        if self.context.judge.is_some() {
            self.judge_after.insert(id, after);
        }
    }
}

async fn ask(context: &ProbeContext, node: &PoolNode, dialer: Payload, due: Due) -> FollowUp {
    let mut told = FollowUp { exit: None, anonymity: None };
    if let Some(lookup) = context.trace.as_ref().filter(|_| due.exit) {
        // An HTTP proxy that knows CONNECT alone is asked for a tunnel to a plain page, too.
        let (tunnel, direct): (Tunnelled<'_>, &dyn Dialer) = (Tunnelled(&*dialer), &*dialer);
        let via = if node.http_ability().is_plain(80) { direct } else { &tunnel };
        told.exit = Some(lookup.exit(via, &context.attempt()).await);
    }
    if let Some(judge) = context.judge.as_ref().filter(|_| due.judge) {
        let exit = told.exit.as_ref().and_then(|exit| exit.as_ref().ok()).map(|exit| exit.ip);
        let direct = context.controls.possible().then(|| context.engine.direct(AddressPolicy::Any));
        told.anonymity = Some(judge.anonymity(node, exit, &*dialer, direct, || context.attempt()).await);
    }
    told
}
