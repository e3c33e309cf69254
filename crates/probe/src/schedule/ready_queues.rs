//! The nodes whose time has come, in queues by urgency.

use std::{collections::VecDeque, time::Duration};

use hezar_core::{ServerKey, Timestamp};
use hezar_pool::State;

use super::table::{NodeTable, ScheduledNode, Slot};

/// The number of ranks of urgency.
const RANKS: usize = 5;
/// The room that an empty queue keeps.
const QUEUE_ROOM: usize = 64;

/// The rank of a node: 0 is the most urgent.
const fn rank(node: &ScheduledNode) -> usize {
    match node.state {
        _ if node.demanded => 0,
        State::Healthy => 1,
        State::Suspect => 2,
        State::New => 3,
        State::Dead => 4,
    }
}

/// A place in the queues. It is stale when its stamp is not the node's any more. A million nodes may be due at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadyNode {
    pub(super) slot: Slot,
    pub(super) stamp: u32,
    /// The host for which it has waited already; key 0 = none.
    pub(super) host: ServerKey,
}

const _: () = assert!(size_of::<ReadyNode>() <= 16);

impl ReadyNode {
    /// A place of a node that has not waited for its host yet.
    pub(super) const fn new(slot: Slot, stamp: u32) -> Self {
        Self { slot, stamp, host: ServerKey(0) }
    }

    /// The host for which it has waited already.
    pub(super) fn waited_for(self) -> Option<ServerKey> {
        Some(self.host).filter(|host| host.0 != 0)
    }
}

/// One queue for each rank.
#[derive(Debug, Default)]
pub(super) struct ReadyQueues {
    queues: [VecDeque<ReadyNode>; RANKS],
    /// Whether the next node is the one that has waited too long, if there is one.
    overdue_first: bool,
}

impl ReadyQueues {
    /// Whether no node is ready.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Puts a node behind the others of its rank.
    pub(super) fn push_back(&mut self, node: &ScheduledNode, ready: ReadyNode) {
        self.queues[rank(node)].push_back(ready);
    }

    /// Puts a node in front of the others of its rank.
    pub(super) fn push_front(&mut self, node: &ScheduledNode, ready: ReadyNode) {
        self.queues[rank(node)].push_front(ready);
    }

    /// Takes the most urgent node. Every second call takes the node that has waited for longest, if that is longer than
    /// `patience`, so that no rank starves. `nodes` says since when each has been due.
    pub(super) fn pop(&mut self, nodes: &NodeTable, now: Timestamp, patience: Duration) -> Option<ReadyNode> {
        self.overdue_first = !self.overdue_first;
        let overdue = if self.overdue_first { self.longest_overdue(nodes, now, patience) } else { None };
        let rank = overdue.or_else(|| self.queues.iter().position(|queue| !queue.is_empty()))?;
        let queue = self.queues.get_mut(rank)?;
        let popped = queue.pop_front();
        if queue.is_empty() {
            // After a large change the room is given back.
            queue.shrink_to(QUEUE_ROOM);
        }
        popped
    }

    /// The rank whose first node has waited for longest, if that is longer than `patience`. A place that its node has left counts
    /// as the oldest, so that it does not hide those behind it.
    fn longest_overdue(&self, nodes: &NodeTable, now: Timestamp, patience: Duration) -> Option<usize> {
        let since = |ready: &ReadyNode| {
            let node = nodes.at(ready.slot).filter(|node| node.stamp == ready.stamp);
            node.map_or(Timestamp(0), |node| node.due)
        };
        let firsts = self.queues.iter().enumerate().filter_map(|(rank, queue)| Some((since(queue.front()?), rank)));
        firsts.filter(|(since, _)| now.since(*since) > patience).min().map(|(_, rank)| rank)
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::NodeId;

    use super::*;
    use crate::intervals::NodeHealth;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Puts nodes of these states into the queues, each ready since a time, and returns the states in the order in which the nodes
    /// are taken at `now`.
    fn taken_at(now: Timestamp, states: &[State], since: impl Fn(State) -> Timestamp) -> Vec<State> {
        let (mut queues, mut table) = (ReadyQueues::default(), NodeTable::default());
        for (number, state) in states.iter().enumerate() {
            let health =
                NodeHealth { server: None, state: *state, failures: 0, ever_worked: false, last_checked: None };
            let id = NodeId::from_bytes([number as u8; 16]);
            let slot = table.insert(ScheduledNode::new(id, &health, since(*state)));
            queues.push_back(table.at(slot).unwrap(), ReadyNode::new(slot, 0));
        }
        let taken = std::iter::from_fn(|| queues.pop(&table, now, PATIENCE));
        let states = taken.map(|ready| table.at(ready.slot).unwrap().state).collect();
        assert!(queues.is_empty());
        states
    }

    #[test]
    fn the_most_urgent_state_goes_first() {
        use State::{Dead, Healthy, New, Suspect};
        let taken = taken_at(Timestamp(1), &[Dead, New, Suspect, Healthy], |_| Timestamp(0));
        assert_eq!(taken, [Healthy, Suspect, New, Dead]);
    }

    #[test]
    fn a_node_that_has_waited_too_long_gets_every_second_turn() {
        use State::{Dead, Healthy};
        let now = Timestamp(0).after(PATIENCE * 2);
        let since = |state| if state == Dead { Timestamp(0) } else { now };
        let taken = taken_at(now, &[Healthy, Healthy, Healthy, Dead, Dead], since);
        assert_eq!(taken, [Dead, Healthy, Dead, Healthy, Healthy]);
    }
}
