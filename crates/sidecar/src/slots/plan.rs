//! What the slots of a core hold at one moment, for writing its configuration.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use super::{Addresses, CoreNode, Entries};

/// The slots of a core at one moment.
#[derive(Clone, Debug)]
pub(crate) struct SlotPlan {
    /// Every slot, in order.
    pub(crate) slots: Vec<PlannedSlot>,
    /// The sizes of the blocks in which slots were added; each has a listener of its own.
    pub(crate) blocks: Vec<usize>,
}

/// One slot at that moment.
#[derive(Clone, Debug)]
pub(crate) struct PlannedSlot {
    /// What its user proves itself with.
    pub(crate) user: Uuid,
    /// Who has it.
    pub(crate) node: Option<Arc<CoreNode>>,
    /// The node as the core's configuration has it, once that was written.
    pub(crate) entries: Entries,
    /// Where the node's server is.
    pub(crate) addresses: Addresses,
    /// When it was found there.
    pub(crate) addressed_at: Instant,
    /// Whether the core has taken this node before.
    pub(crate) is_proven: bool,
    /// Counts what was put into the slot.
    pub(crate) revision: u64,
}

impl SlotPlan {
    /// The slots of one block, with their numbers.
    pub(crate) fn block(&self, block: usize) -> impl Iterator<Item = (usize, &PlannedSlot)> {
        let first: usize = self.blocks.iter().take(block).sum();
        let size = self.blocks.get(block).copied().unwrap_or_default();
        self.slots.iter().enumerate().skip(first).take(size)
    }

    /// The numbers of the slots whose nodes the core has not seen yet.
    pub(crate) fn unproven(&self) -> Vec<usize> {
        let unproven = |(index, slot): (usize, &PlannedSlot)| (slot.node.is_some() && !slot.is_proven).then_some(index);
        self.slots.iter().enumerate().filter_map(unproven).collect()
    }

    /// The same without the nodes of these slots.
    pub(crate) fn without(mut self, left_out: &[usize]) -> Self {
        for index in left_out {
            if let Some(slot) = self.slots.get_mut(*index) {
                slot.node = None;
            }
        }
        self
    }
}
