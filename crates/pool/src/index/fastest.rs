//! A filter that lets only the fastest nodes through: which of the nodes that fit are inside.

use std::collections::BTreeSet;

use crate::Filter;

/// A filter with the order of the nodes that fit: where it has a `top`, only so many of them are let through.
#[derive(Debug)]
pub(crate) struct FastestFilter {
    pub(crate) filter: Filter,
    /// By weighed latency, then slot: the fastest ones, as many as the filter lets through …
    inside: BTreeSet<(u32, u32)>,
    /// … and all others that fit.
    outside: BTreeSet<(u32, u32)>,
}

impl FastestFilter {
    pub(crate) const fn new(filter: Filter) -> Self {
        Self { filter, inside: BTreeSet::new(), outside: BTreeSet::new() }
    }

    /// Forgets a node.
    pub(crate) fn remove(&mut self, latency: u32, slot: u32, displaced: &mut Vec<u32>) {
        if !self.inside.remove(&(latency, slot)) {
            self.outside.remove(&(latency, slot));
        }
        self.rebalance(displaced);
    }

    /// Takes in a node that fits and says whether it is let through; the slots of others that are let through now, or no
    /// longer, are added to `displaced`.
    pub(crate) fn insert(&mut self, latency: u32, slot: u32, displaced: &mut Vec<u32>) -> bool {
        if self.filter.top.is_none() {
            return true;
        }
        if !self.inside.contains(&(latency, slot)) {
            self.outside.insert((latency, slot));
        }
        self.rebalance(displaced);
        self.inside.contains(&(latency, slot))
    }

    fn rebalance(&mut self, displaced: &mut Vec<u32>) {
        let Some(top) = self.filter.top else { return };
        while self.inside.len() < top
            && let Some(next) = self.outside.pop_first()
        {
            displaced.push(next.1);
            self.inside.insert(next);
        }
        while let (Some(worst), Some(best)) = (self.inside.last().copied(), self.outside.first().copied())
            && best < worst
        {
            self.inside.remove(&worst);
            self.outside.remove(&best);
            self.inside.insert(best);
            self.outside.insert(worst);
            displaced.extend([worst.1, best.1]);
        }
    }
}
