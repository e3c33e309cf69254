//! The routable nodes that fit one filter, in the three orders that the strategies need.

use std::sync::{Arc, atomic::AtomicUsize};

use hezar_core::NodeId;

use super::{chunked::Chunked, exits::ExitTable, sorted::Sorted};
use crate::Country;

/// Which routable nodes a view holds: those that a filter lets through (0 = all), in one country or anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ViewKey {
    pub(crate) filter: u32,
    pub(crate) country: Option<Country>,
}

impl ViewKey {
    pub(crate) const ALL: Self = Self { filter: 0, country: None };
}

/// Slots of nodes. Every part is shared between published copies until it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// In no order, for drawing by index.
    pub(crate) members: Arc<Members>,
    /// By a hash of the identity (high half), with the slot (low half): a ring for consistent hashing.
    pub(crate) ring: Arc<Sorted>,
    /// By weighed latency in µs (high half), with the slot (low half).
    pub(crate) order: Arc<Sorted>,
    /// The exits, for taking turns and drawing lots.
    pub(crate) exits: Arc<ExitTable>,
    /// Whose turn it is; the same counter in all copies.
    pub(crate) turn: Arc<AtomicUsize>,
}

pub(crate) type Members = Chunked<u32, 512>;

impl Default for Members {
    fn default() -> Self {
        Self::new()
    }
}

impl View {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Takes a node in and returns its position among the members.
    pub(crate) fn join(&mut self, slot: u32, id: NodeId, latency: u32) -> u32 {
        let members = Arc::make_mut(&mut self.members);
        members.push(slot);
        Arc::make_mut(&mut self.ring).insert(key(point(id), slot));
        Arc::make_mut(&mut self.order).insert(key(latency, slot));
        (self.members.len() - 1) as u32
    }

    /// Takes many nodes in: their slots in the order of their positions, their points on the ring and their latencies in any order.
    pub(super) fn join_all(&mut self, slots: &[u32], ring: Vec<u64>, order: Vec<u64>) {
        let members = Arc::make_mut(&mut self.members);
        slots.iter().for_each(|slot| members.push(*slot));
        Arc::make_mut(&mut self.ring).insert_all(ring);
        Arc::make_mut(&mut self.order).insert_all(order);
    }

    /// Lets a node go. When another one moves into its position, returns that one's slot.
    pub(crate) fn leave(&mut self, position: u32, slot: u32, id: NodeId, latency: u32) -> Option<u32> {
        let members = Arc::make_mut(&mut self.members);
        members.swap_remove(position as usize);
        let moved = members.get(position as usize).copied();
        Arc::make_mut(&mut self.ring).remove(key(point(id), slot));
        Arc::make_mut(&mut self.order).remove(key(latency, slot));
        moved
    }

    /// Moves a node to another place in the order of latency.
    pub(crate) fn reorder(&mut self, slot: u32, old: u32, new: u32) {
        let order = Arc::make_mut(&mut self.order);
        order.remove(key(old, slot));
        order.insert(key(new, slot));
    }
}

pub(crate) const fn key(high: u32, slot: u32) -> u64 {
    ((high as u64) << 32) | slot as u64
}

pub(crate) const fn slot_of(key: u64) -> u32 {
    key as u32
}

/// The node's point on the ring; identities are hashes already.
pub(super) fn point(id: NodeId) -> u32 {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}
