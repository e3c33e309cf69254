//! Decides whether a failure is evidence against a node or against its target. A site that hangs up on many nodes makes none of
//! them look bad elsewhere.
//!
//! A node that failed while another one served the same request is blamed, unless its target fails on many: then the node
//! is only spared for that site, until it has failed so at a second site, too.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use ahash::AHashMap;
use hezar_core::{NodeId, SiteKey, TargetKey, Timestamp};
use parking_lot::Mutex;

/// How many targets are remembered; of two with the same slot the newer one is.
const SLOTS: u64 = 1024;
/// Fewer failures say nothing about a target.
const ENOUGH: u64 = 2;
/// A target is doubtful when it fails more than once for so many answers.
const ANSWERS: u64 = 3;
/// At so many answers or failures both are halved, so that old ones fade.
const FULL: u64 = 64;
/// If so many nodes fail in one request, its target is suspected.
const SEVERAL: usize = 3;
/// The most nodes that are remembered, and how long.
const NODES: usize = 4096;
const MEMORY: Duration = Duration::from_secs(600);

/// What is known of targets and nodes.
#[derive(Debug)]
pub(crate) struct Blame {
    /// In each slot one target: the upper half of its key, its answers, and its failures in 16 bits each.
    targets: Vec<AtomicU64>,
    /// The site at which a node failed last while another one was served.
    nodes: Mutex<AHashMap<NodeId, (SiteKey, Timestamp)>>,
}

impl Default for Blame {
    fn default() -> Self {
        Self { targets: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(), nodes: Mutex::default() }
    }
}

impl Blame {
    /// A node has brought an answer of the target.
    pub(crate) fn record_answer(&self, target: TargetKey) {
        // Targets that never failed are in no slot: nothing is written for them.
        self.update_counts(target, false, |answers, failures| (answers + 1, failures));
    }

    /// A node has failed at the target, perhaps by the target's fault.
    pub(crate) fn record_failure(&self, target: TargetKey) {
        self.update_counts(target, true, |answers, failures| (answers, failures + 1));
    }

    /// Whether those `failed` nodes of one request to the target speak against the target rather than against themselves.
    pub(crate) fn suspects_target(&self, target: Option<TargetKey>, failed: usize) -> bool {
        failed >= SEVERAL || target.is_some_and(|target| self.is_doubtful(target, failed))
    }

    /// Notes that the node failed at a site where another one was served; says whether it has failed so at another site lately.
    pub(crate) fn record_site_failure(&self, node: NodeId, site: SiteKey, now: Timestamp) -> bool {
        let mut nodes = self.nodes.lock();
        if nodes.len() >= NODES && !nodes.contains_key(&node) {
            nodes.retain(|_, (_, at)| now.since(*at) < MEMORY);
            if nodes.len() >= NODES {
                return false;
            }
        }
        let before = nodes.insert(node, (site, now));
        before.is_some_and(|(other, at)| other != site && now.since(at) < MEMORY)
    }

    /// By what other requests have met; `failed` belongs to the one that asks.
    fn is_doubtful(&self, target: TargetKey, failed: usize) -> bool {
        let word = self.slot(target).map_or(0, |slot| slot.load(Relaxed));
        let (answers, failures) = counts(word);
        let failures = failures.saturating_sub(failed as u64);
        word >> 32 == key_half(target) && failures >= ENOUGH && failures * ANSWERS > answers
    }

    fn update_counts(&self, target: TargetKey, new: bool, work: impl Fn(u64, u64) -> (u64, u64)) {
        let Some(slot) = self.slot(target) else { return };
        let update = |word: u64| {
            let known = word >> 32 == key_half(target);
            if !known && !new {
                return None;
            }
            let (answers, failures) = if known { counts(word) } else { (0, 0) };
            let (answers, failures) = work(answers, failures);
            let full = answers >= FULL || failures >= FULL;
            let (answers, failures) = if full { (answers / 2, failures / 2) } else { (answers, failures) };
            Some(key_half(target) << 32 | answers << 16 | failures)
        };
        // Absent: nothing is known of the target, and nothing has to be.
        let _ = slot.fetch_update(Relaxed, Relaxed, update);
    }

    fn slot(&self, target: TargetKey) -> Option<&AtomicU64> {
        self.targets.get(usize::try_from(target.0 % SLOTS).ok()?)
    }
}

const fn counts(word: u64) -> (u64, u64) {
    ((word >> 16) & 0xffff, word & 0xffff)
}

/// Never 0, which an empty slot has.
const fn key_half(key: TargetKey) -> u64 {
    (key.0 >> 32) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: TargetKey = TargetKey(0x1234_5678_9abc_def0);

    fn node(number: u16) -> NodeId {
        let [a, b] = number.to_be_bytes();
        NodeId::from_bytes([a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn a_target_that_fails_often_is_doubtful_and_becomes_clean_again() {
        let blame = Blame::default();
        (0..1000).for_each(|_| blame.record_answer(TARGET));
        assert!(!blame.suspects_target(Some(TARGET), 1), "it has never failed");
        (0..2).for_each(|_| blame.record_failure(TARGET));
        assert!(!blame.suspects_target(Some(TARGET), 2), "a request's own failures are its nodes'");
        (0..2).for_each(|_| blame.record_failure(TARGET));
        assert!(
            blame.suspects_target(Some(TARGET), 1)
                && !blame.suspects_target(Some(TargetKey(TARGET.0 ^ 1)), 1)
                && !blame.suspects_target(None, 2)
        );
        (0..60).for_each(|_| blame.record_answer(TARGET));
        assert!(!blame.suspects_target(Some(TARGET), 1));
        (0..100_000).for_each(|_| blame.record_failure(TARGET));
        (0..100_000).for_each(|_| blame.record_answer(TARGET));
        assert!(!blame.suspects_target(Some(TARGET), 1), "counts fade and never overflow");
        assert!(blame.suspects_target(None, 3), "many nodes in one request");
    }

    #[test]
    fn a_node_that_fails_at_two_sites_is_to_blame() {
        let (blame, start) = (Blame::default(), Timestamp(1_000_000));
        assert!(!blame.record_site_failure(node(1), SiteKey(1), start));
        assert!(!blame.record_site_failure(node(1), SiteKey(1), start), "the same site says nothing new");
        assert!(blame.record_site_failure(node(1), SiteKey(2), start));
        assert!(!blame.record_site_failure(node(1), SiteKey(1), start.after(MEMORY)), "long ago");
        for number in 0..10_000 {
            blame.record_site_failure(node(number), SiteKey(1), start);
        }
        assert!(blame.nodes.lock().len() <= NODES);
    }
}
