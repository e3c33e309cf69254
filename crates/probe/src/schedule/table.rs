//! The nodes of the schedule, in a table that stays small with a million of them.

use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashTable;
use hezar_core::{NodeId, OptionalTime, ServerKey, Timestamp};
use hezar_pool::State;

use crate::intervals::NodeHealth;

/// A recovery lasts if the node works for so many intervals.
const LASTING: u32 = 2;
/// So many deaths in a row soon after a recovery make a node one that flaps.
const FLAPS: u8 = 2;
/// The share of an interval for which traffic that succeeds stands in for the probe of a healthy node …
const STANDS_IN: f32 = 0.8;
/// … and the intervals after which the node is probed all the same: canaries and the latency come from probes alone.
const LONGEST_WITHOUT: u32 = 4;
/// A node that has been dead for so many intervals is not looked at with saved probes any more.
const MAY_RETURN: u32 = 60;

/// Where a node lies in the table. The slot of a node that was removed is given to another one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u32);

/// What the schedule knows about one node. A million of them are in memory: the fields have no more bits than they need.
#[derive(Debug)]
pub(super) struct ScheduledNode {
    pub(super) id: NodeId,
    /// Its server; key 0 = the cap per host does not apply.
    server: ServerKey,
    /// When it is due; while its probe runs, when that began.
    pub(super) due: Timestamp,
    /// When it died, or came back after it had been dead, whichever was last.
    turned: OptionalTime,
    /// When a probe last judged it.
    probed: OptionalTime,
    /// The number of its present place in the queues.
    pub(super) stamp: u32,
    failures: u32,
    /// Probes in a row that proved nothing.
    pub(super) misses: u8,
    /// How often in a row it died soon after a recovery.
    relapses: u8,
    pub(super) state: State,
    /// Whether the last probe that judged it failed.
    probe_failed: bool,
    ever_worked: bool,
    pub(super) running: bool,
    /// A state change while it ran asks for an early next probe.
    pub(super) expedite: bool,
    /// Somebody waits for its probe.
    pub(super) demanded: bool,
}

impl ScheduledNode {
    pub(super) fn new(id: NodeId, health: &NodeHealth, now: Timestamp) -> Self {
        Self {
            id,
            server: health.server.unwrap_or(ServerKey(0)),
            due: now,
            turned: OptionalTime::NONE,
            probed: OptionalTime::NONE,
            stamp: 0,
            failures: health.failures,
            misses: 0,
            relapses: 0,
            state: health.state,
            probe_failed: false,
            ever_worked: health.ever_worked,
            running: false,
            expedite: false,
            demanded: false,
        }
    }

    /// Its server; `None` = the cap per host does not apply.
    pub(super) const fn server(&self) -> Option<ServerKey> {
        if self.server.0 == 0 { None } else { Some(self.server) }
    }

    /// The last failure that a probe saw, if no probe has succeeded since.
    pub(super) fn failed_last(&self) -> Option<Timestamp> {
        self.probed.get().filter(|_| self.probe_failed)
    }

    /// Whether it always dies soon after it has come back.
    pub(super) const fn flaps(&self) -> bool {
        self.relapses >= FLAPS
    }

    /// Until when its probe can wait, because the node has worked for a client (at `worked`) since the last one.
    pub(super) fn put_off_until(
        &self,
        worked: Option<Timestamp>,
        now: Timestamp,
        interval: Duration,
    ) -> Option<Timestamp> {
        if self.demanded || self.state != State::Healthy {
            return None;
        }
        let probed = self.probed.get()?;
        let worked = worked.filter(|worked| *worked > probed)?;
        let due = worked.after(interval.mul_f32(STANDS_IN)).min(probed.after(interval * LONGEST_WITHOUT));
        (due > now).then_some(due)
    }

    /// Whether saved probes are well spent on it: it is dead, and it lived not long ago.
    pub(super) fn may_return(&self, now: Timestamp, interval: Duration) -> bool {
        let lately = self.turned.get().is_some_and(|died| now.since(died) < interval * MAY_RETURN);
        self.state == State::Dead && lately
    }

    /// Its health as the intervals read it.
    pub(super) const fn health(&self) -> NodeHealth {
        NodeHealth {
            server: self.server(),
            state: self.state,
            failures: self.failures,
            ever_worked: self.ever_worked,
            last_checked: None,
        }
    }

    /// Takes over what is known about the node now; the server stays.
    pub(super) fn set_health(&mut self, health: &NodeHealth, now: Timestamp, interval: Duration) {
        self.set_state(health.state, now, interval);
        self.failures = health.failures;
        self.ever_worked = health.ever_worked;
    }

    /// Takes over what a probe has decided: the state, and the failures in a row.
    pub(super) fn set_decided(&mut self, state: State, failures: u32, now: Timestamp, interval: Duration) {
        self.set_state(state, now, interval);
        self.failures = failures;
        self.ever_worked |= failures == 0;
        self.misses = 0;
        (self.probed, self.probe_failed) = (now.into(), failures > 0);
    }

    /// Changes the state, and counts deaths that follow soon on a recovery.
    fn set_state(&mut self, state: State, now: Timestamp, interval: Duration) {
        match (self.state, state) {
            (State::Dead, State::Healthy | State::Suspect) => self.turned = now.into(),
            (before, State::Dead) if before != State::Dead => {
                let relapsed = self.turned.get().is_some_and(|recovered| now.since(recovered) < interval * LASTING);
                self.turned = now.into();
                self.relapses = if relapsed { self.relapses.saturating_add(1) } else { 0 };
            }
            _ => {}
        }
        self.state = state;
    }
}

/// The table: nodes by slot, and slots by id.
#[derive(Debug, Default)]
pub(super) struct NodeTable {
    nodes: Vec<Option<ScheduledNode>>,
    free: Vec<u32>,
    by_id: HashTable<u32>,
    hasher: RandomState,
}

impl NodeTable {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Where the node with this id lies.
    pub(super) fn slot_of(&self, id: NodeId) -> Option<Slot> {
        let found = self.by_id.find(self.hasher.hash_one(id), |slot| id_at(&self.nodes, *slot) == Some(id));
        found.copied().map(Slot)
    }

    pub(super) fn at(&self, Slot(slot): Slot) -> Option<&ScheduledNode> {
        self.nodes.get(slot as usize)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, Slot(slot): Slot) -> Option<&mut ScheduledNode> {
        self.nodes.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&ScheduledNode> {
        self.at(self.slot_of(id)?)
    }

    /// Adds a node whose id is not in the table, and says where it lies.
    pub(super) fn insert(&mut self, node: ScheduledNode) -> Slot {
        let hash = self.hasher.hash_one(node.id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            (self.nodes.len() - 1) as u32
        });
        if let Some(place) = self.nodes.get_mut(slot as usize) {
            *place = Some(node);
        }
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.by_id.insert_unique(hash, slot, |slot| id_at(nodes, *slot).map_or(0, |id| hasher.hash_one(id)));
        Slot(slot)
    }

    pub(super) fn remove(&mut self, id: NodeId) -> Option<ScheduledNode> {
        let hash = self.hasher.hash_one(id);
        let nodes = &self.nodes;
        let found = self.by_id.find_entry(hash, |slot| id_at(nodes, *slot) == Some(id)).ok()?;
        let (slot, _) = found.remove();
        self.free.push(slot);
        self.nodes.get_mut(slot as usize)?.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &ScheduledNode)> {
        let slots = (0..).map(Slot);
        slots.zip(&self.nodes).filter_map(|(slot, node)| Some((slot, node.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut ScheduledNode)> {
        let slots = (0..).map(Slot);
        slots.zip(&mut self.nodes).filter_map(|(slot, node)| Some((slot, node.as_mut()?)))
    }
}

fn id_at(nodes: &[Option<ScheduledNode>], slot: u32) -> Option<NodeId> {
    nodes.get(slot as usize)?.as_ref().map(|node| node.id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 16])
    }

    fn node(n: u8) -> ScheduledNode {
        let health =
            NodeHealth { server: None, state: State::New, failures: n.into(), ever_worked: false, last_checked: None };
        ScheduledNode::new(id(n), &health, Timestamp(0))
    }

    /// A million nodes cost 64 MB here; this bound keeps it so.
    #[test]
    fn a_node_takes_64_bytes() {
        assert!(size_of::<Option<ScheduledNode>>() <= 64, "{} bytes", size_of::<Option<ScheduledNode>>());
    }

    proptest! {
        /// The table does what a map from ids does, whatever is added and removed.
        #[test]
        fn it_is_a_map_from_ids(steps in proptest::collection::vec((any::<u8>(), any::<bool>()), 0..200)) {
            let (mut table, mut model) = (NodeTable::default(), std::collections::BTreeSet::new());
            for (n, add) in steps {
                if add && model.insert(n) {
                    let slot = table.insert(node(n));
                    prop_assert_eq!(table.slot_of(id(n)), Some(slot));
                } else if !add {
                    prop_assert_eq!(table.remove(id(n)).is_some(), model.remove(&n));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for n in 0..=u8::MAX {
                prop_assert_eq!(table.get(id(n)).map(|node| node.failures), model.contains(&n).then_some(n.into()));
            }
            let mut listed: Vec<u32> = table.iter().map(|(_, node)| node.failures).collect();
            listed.sort_unstable();
            prop_assert_eq!(listed, model.iter().map(|n| u32::from(*n)).collect::<Vec<_>>());
        }
    }
}
