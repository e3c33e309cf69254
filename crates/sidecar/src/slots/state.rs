//! The slots themselves, behind the lock of the table.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::{Addresses, CoreNode, Entries, NodeKey};

/// For so long a server is believed to be where it was found.
const SETTLED: Duration = Duration::from_secs(60);

/// Everything that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) first_block: usize,
    pub(super) slots: Vec<Slot>,
    pub(super) blocks: Vec<usize>,
    pub(super) by_node: HashMap<NodeKey, usize>,
    pub(super) free: Vec<usize>,
    /// Where the search for a slot to take over goes on.
    pub(super) hand: usize,
    pub(super) core: Serving,
    pub(super) refused: HashMap<NodeKey, Arc<str>>,
    /// How many refused nodes there were.
    pub(super) refusals: u64,
    pub(super) last_use: Instant,
    pub(super) is_dirty: bool,
}

/// Whether the core serves.
#[derive(Debug)]
pub(super) enum Serving {
    /// Nobody needs it.
    Idle,
    /// It is needed and does not serve, since when.
    Down(Instant),
    /// Its start with this number serves, as this process; the listener of each block.
    Up { start: u64, pid: u32, listeners: Vec<SocketAddr> },
}

/// One slot.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) user: Uuid,
    pub(super) node: Option<Arc<CoreNode>>,
    pub(super) entries: Entries,
    pub(super) addresses: Addresses,
    /// When the addresses were put here.
    pub(super) addressed_at: Instant,
    /// The revision that the core knows; the node can be dialled when it is the present one.
    pub(super) known: u64,
    pub(super) revision: u64,
    /// Whether the core has taken the node before.
    pub(super) is_proven: bool,
    /// Leases.
    pub(super) uses: usize,
    /// Whether it was used since the hand has passed it.
    pub(super) was_used: bool,
    /// Why the core refuses the node; it is then taken away when the last lease has ended.
    pub(super) refused: Option<Arc<str>>,
}

impl Slot {
    /// Whether the node's server has none of the addresses any more that the core knows. Some names lead to other addresses every few seconds,
    /// all of them good: the core is not told of each.
    pub(super) fn has_moved(&self, addresses: &Addresses) -> bool {
        let is_settled = self.addressed_at.elapsed() < SETTLED;
        !is_settled && !self.addresses.iter().any(|known| addresses.contains(known))
    }
}

impl State {
    /// No slot yet, and a core that nobody needs.
    pub(super) fn new(first_block: usize) -> Self {
        Self {
            first_block: first_block.max(1),
            slots: Vec::new(),
            blocks: Vec::new(),
            by_node: HashMap::new(),
            free: Vec::new(),
            hand: 0,
            core: Serving::Idle,
            refused: HashMap::new(),
            refusals: 0,
            last_use: Instant::now(),
            is_dirty: false,
        }
    }

    /// A slot that nobody has any more.
    pub(super) fn take_slot(&mut self, most: usize) -> Option<usize> {
        if let Some(index) = self.free.pop() {
            return Some(index);
        }
        if self.slots.len() < most {
            self.add_block(most);
            return self.free.pop();
        }
        // Two rounds: the first one may find every slot used since the last time.
        for _ in 0..2 * self.slots.len() {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.uses == 0) else { continue };
            if std::mem::take(&mut slot.was_used) {
                continue;
            }
            if let Some(node) = slot.node.take() {
                self.by_node.remove(&node.key());
            }
            return Some(index);
        }
        None
    }

    /// As many slots again as there are.
    fn add_block(&mut self, most: usize) {
        let first = self.slots.len();
        let size = first.max(self.first_block).min(most - first);
        let empty = || Slot {
            user: Uuid::new_v4(),
            node: None,
            entries: Entries::default(),
            addresses: Arc::default(),
            addressed_at: Instant::now(),
            known: 0,
            revision: 0,
            is_proven: false,
            uses: 0,
            was_used: false,
            refused: None,
        };
        self.slots.extend(std::iter::repeat_with(empty).take(size));
        self.blocks.push(size);
        self.free.extend((first..first + size).rev());
    }

    /// The core has to be told everything again.
    pub(super) fn forget_known(&mut self) {
        for slot in &mut self.slots {
            slot.known = 0;
        }
    }

    pub(super) fn block_of(&self, index: usize) -> Option<usize> {
        let mut end = 0;
        self.blocks.iter().position(|size| {
            end += size;
            index < end
        })
    }

    pub(super) fn put(&mut self, index: usize, node: Arc<CoreNode>) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.node = Some(node);
            slot.entries = Entries::default();
            slot.is_proven = false;
            slot.refused = None;
        }
    }

    /// Takes the node out of a slot.
    pub(super) fn clear(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.entries = Entries::default();
        slot.revision += 1;
        if let Some(node) = slot.node.take()
            && self.by_node.get(&node.key()) == Some(&index)
        {
            self.by_node.remove(&node.key());
        }
        self.free.push(index);
    }
}
