//! Reports to the pool what an attempt showed about its node, exactly once or not at all.

use std::{sync::Arc, time::Duration};

use hezar_core::{Fault, NodeId, Stage, Timestamp};
use hezar_engine::Cause;
use hezar_pool::{Origin, Outcome, SiteVerdict};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Selection, TargetKeys};
use crate::{AttemptError, spans::TraceHandle};

/// The attempts of one request that failed without a certain fault, or stay silent. They are blamed when another node
/// serves the same request: that shows that the target is fine.
#[derive(Clone, Debug, Default)]
pub(super) struct Undecided(Arc<Mutex<Vec<(NodeId, AttemptError)>>>);

impl Undecided {
    pub(super) fn add(&self, node: NodeId, fail: AttemptError) {
        self.forget(node);
        self.0.lock().push((node, fail));
    }

    /// The node has been reported on.
    pub(super) fn forget(&self, node: NodeId) {
        self.0.lock().retain(|(other, _)| *other != node);
    }

    fn take(&self) -> Vec<(NodeId, AttemptError)> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The report on a connected node. It stays open until the node has answered.
///
/// Many protocols have no answer of their own to a request for a target, so "connected" proves little: the first byte
/// from the node does. A connection that ends before that without anybody's provable fault says nothing.
#[derive(Debug)]
pub(crate) struct AttemptReport {
    selection: Arc<Selection>,
    node: NodeId,
    keys: TargetKeys,
    latency: Duration,
    undecided: Undecided,
    /// The trace of the request, and when the attempt began.
    trace: (TraceHandle, Instant),
    open: bool,
}

impl AttemptReport {
    pub(super) const fn new(
        selection: Arc<Selection>,
        node: NodeId,
        keys: TargetKeys,
        latency: Duration,
        undecided: Undecided,
        trace: (TraceHandle, Instant),
    ) -> Self {
        Self { selection, node, keys, latency, undecided, trace, open: true }
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }

    /// The attempt has ended as far as its trace is concerned.
    fn trace(&self, code: &'static str, stage: Option<Stage>) {
        let (trace, started) = &self.trace;
        trace.attempt(self.node, *started, code, stage);
    }

    /// A transfer over the node has shown its speed, in bytes a second.
    pub(crate) fn moved_at(&self, bytes_per_sec: f32) {
        self.selection.pool.record_throughput(self.node, bytes_per_sec, self.selection.clock.now());
    }

    /// The request is over, and has moved so many bytes both ways together.
    pub(crate) fn moved(&self, bytes: u64) {
        self.selection.transfer_sizes.record(self.keys.user, bytes);
    }

    /// The node has answered.
    pub(crate) fn succeeded(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.selection.metrics.attempt("ok", "ok");
        self.trace("ok", None);
        report_outcome(&self.selection, self.node, &Outcome::success(Origin::Traffic, self.latency));
        let now = self.selection.clock.now();
        if let Some(target) = self.keys.target {
            self.selection.recent_targets.record(target, now);
            self.selection.blame.record_answer(target);
        }
        if let Some(site) = self.keys.site {
            self.selection.pool.report_site(self.node, site, SiteVerdict::Works, now);
        }
        self.report_undecided(now);
    }

    /// Blames the nodes that failed at the request that this one has served, unless that speaks against its target.
    fn report_undecided(&self, now: Timestamp) {
        let mut others = self.undecided.take();
        others.retain(|(node, _)| *node != self.node);
        let doubtful = self.selection.blame.suspects_target(self.keys.target, others.len());
        for (node, fail) in others {
            let Some(site) = self.keys.site else {
                report_outcome(&self.selection, node, &failure_outcome(&fail));
                continue;
            };
            if self.selection.blame.record_site_failure(node, site, now) || !doubtful {
                report_outcome(&self.selection, node, &failure_outcome(&fail));
            }
            // The site may only refuse that node: it is spared it for a while, whatever becomes of its health.
            self.selection.pool.report_site(node, site, SiteVerdict::Fails, now);
        }
    }

    /// The node has failed after it was connected; nothing happens when it had proved itself before.
    pub(crate) fn failed(&mut self, fail: &AttemptError) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.selection.metrics.attempt("failed", fail.code.as_str());
        self.trace(fail.code.as_str(), Some(fail.stage));
        if fail.sure {
            self.undecided.forget(self.node);
            report_outcome(&self.selection, self.node, &failure_outcome(fail));
        } else {
            if let Some(target) = self.keys.target {
                self.selection.blame.record_failure(target);
            }
            self.undecided.add(self.node, fail.clone());
        }
    }
}

impl Drop for AttemptReport {
    fn drop(&mut self) {
        if self.open {
            self.selection.metrics.attempt("unproven", "ok");
            self.trace("unproven", None);
        }
    }
}

pub(super) fn failure_outcome(fail: &AttemptError) -> Outcome {
    Outcome::failure(Origin::Traffic, fail.fault, fail.stage, fail.code)
}

/// Tells the pool; failures that are not the node's fault are told too, and the pool does not count them. A node whose core is not there rests.
pub(super) fn report_outcome(selection: &Selection, node: NodeId, outcome: &Outcome) {
    let now = selection.clock.now();
    match &outcome.result {
        Err(failure) if failure.code == Cause::CORE_UNAVAILABLE => selection.pool.rest(node, now),
        Err(failure) if failure.fault == Fault::Local => {}
        _ => selection.pool.report(node, outcome, now),
    }
}
