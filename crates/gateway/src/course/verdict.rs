//! What one attempt taught about its node: reported to the pool exactly once, or not at all.

use std::{sync::Arc, time::Duration};

use hezar_core::{Fault, NodeId, Timestamp};
use hezar_pool::{Origin, Outcome, SiteVerdict};
use parking_lot::Mutex;

use super::{Fail, Place};
use crate::gateway::Shared;

/// The attempts of one request that failed without a certain fault, or stay silent. They are blamed when another node
/// serves the same request: that shows that the target is fine.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsure(Arc<Mutex<Vec<(NodeId, Fail)>>>);

impl Unsure {
    pub(super) fn add(&self, node: NodeId, fail: Fail) {
        self.forget(node);
        self.0.lock().push((node, fail));
    }

    /// The node has been judged.
    pub(super) fn forget(&self, node: NodeId) {
        self.0.lock().retain(|(other, _)| *other != node);
    }

    fn take(&self) -> Vec<(NodeId, Fail)> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The verdict on a connected node, open until it has proved itself.
///
/// Many protocols have no answer of their own to a request for a target, so "connected" proves little: the first byte
/// from the node does. A connection that ends before that without anybody's provable fault says nothing.
#[derive(Debug)]
pub(crate) struct Verdict {
    shared: Arc<Shared>,
    node: NodeId,
    place: Place,
    latency: Duration,
    unsure: Unsure,
    open: bool,
}

impl Verdict {
    pub(super) const fn new(
        shared: Arc<Shared>,
        node: NodeId,
        place: Place,
        latency: Duration,
        unsure: Unsure,
    ) -> Self {
        Self { shared, node, place, latency, unsure, open: true }
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }

    /// The node has answered.
    pub(crate) fn good(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.shared.metrics.attempt("ok", "ok");
        report(&self.shared, self.node, &Outcome::success(Origin::Traffic, self.latency));
        let now = self.shared.clock.now();
        if let Some(target) = self.place.target {
            self.shared.reached.note(target, now);
            self.shared.blame.answered(target);
        }
        if let Some(site) = self.place.site {
            self.shared.pool.report_site(self.node, site, SiteVerdict::Works, now);
        }
        self.judge_others(now);
    }

    /// Blames the nodes that failed at the request that this one has served, unless that speaks against its target.
    fn judge_others(&self, now: Timestamp) {
        let mut others = self.unsure.take();
        others.retain(|(node, _)| *node != self.node);
        let doubtful = self.shared.blame.doubts(self.place.target, others.len());
        for (node, fail) in others {
            let Some(site) = self.place.site else {
                report(&self.shared, node, &failure(&fail));
                continue;
            };
            if self.shared.blame.failed_elsewhere(node, site, now) || !doubtful {
                report(&self.shared, node, &failure(&fail));
            }
            // The site may only refuse that node: it is spared it for a while, whatever becomes of its health.
            self.shared.pool.report_site(node, site, SiteVerdict::Fails, now);
        }
    }

    /// The node has failed after it was connected; nothing happens when it had proved itself before.
    pub(crate) fn bad(&mut self, fail: &Fail) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.shared.metrics.attempt("failed", fail.code);
        if fail.sure {
            self.unsure.forget(self.node);
            report(&self.shared, self.node, &failure(fail));
        } else {
            if let Some(target) = self.place.target {
                self.shared.blame.failed(target);
            }
            self.unsure.add(self.node, fail.clone());
        }
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        if self.open {
            self.shared.metrics.attempt("unproven", "ok");
        }
    }
}

pub(super) fn failure(fail: &Fail) -> Outcome {
    Outcome::failure(Origin::Traffic, fail.fault, fail.stage, fail.code)
}

/// Tells the pool; failures that are not the node's fault are told too, and the pool does not count them.
pub(super) fn report(shared: &Shared, node: NodeId, outcome: &Outcome) {
    let ours = matches!(&outcome.result, Err(failure) if failure.fault == Fault::Local);
    if !ours {
        shared.pool.report(node, outcome, shared.clock.now());
    }
}
