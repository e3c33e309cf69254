//! The table of slots: who has which, and what the core knows of it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use hezar_core::{NodeId, NodeSpec};
use hezar_engine::{BuildError, Cause};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{Addresses, CoreNode, NodeKey, PlannedSlot, SlotLease, SlotPlan, lease::SlotAccess, slot_name};

/// The most refused nodes that are remembered.
const MOST_REFUSED: usize = 10_000;
/// The longest reason of a refusal that is kept, in bytes.
const LONGEST_REASON: usize = 300;

/// Writes a node as entries of the core's configuration under the name of its slot.
pub(crate) type Render = fn(&str, &NodeSpec) -> Result<Vec<String>, BuildError>;

/// The slots of one core.
#[derive(Debug)]
pub(crate) struct SlotTable {
    state: Mutex<State>,
    render: Render,
    most: usize,
    /// Counts changes of what the core knows.
    turns: watch::Sender<u64>,
    /// Told when the core has to be told something.
    work: Notify,
}

#[derive(Debug)]
struct State {
    first_block: usize,
    slots: Vec<Slot>,
    blocks: Vec<usize>,
    by_node: HashMap<NodeKey, usize>,
    free: Vec<usize>,
    /// Where the search for a slot to take over goes on.
    hand: usize,
    core: Core,
    refused: HashMap<NodeKey, Arc<str>>,
    /// How many refused nodes there were.
    refusals: u64,
    last_use: Instant,
    is_dirty: bool,
}

#[derive(Debug)]
enum Core {
    /// Nobody needs it.
    Idle,
    /// It is needed and does not serve, since when.
    Down(Instant),
    /// Its start with this number serves; the listener of each block.
    Up { start: u64, listeners: Vec<SocketAddr> },
}

#[derive(Debug)]
struct Slot {
    user: Uuid,
    node: Option<Arc<CoreNode>>,
    entries: Arc<[String]>,
    addresses: Addresses,
    /// The revision that the core knows; the node can be dialled when it is the present one.
    known: u64,
    revision: u64,
    /// Whether the core has taken the node before.
    is_proven: bool,
    /// Leases.
    uses: usize,
    /// Whether it was used since the hand has passed it.
    was_used: bool,
    /// Why the core refuses the node; it is then taken away when the last lease has ended.
    refused: Option<Arc<str>>,
}

/// What a core knows of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// It knows the node.
    Known(SlotAccess),
    /// It will be told soon.
    Waiting,
    /// It does not serve, since when.
    Down(Instant),
}

/// How many slots and nodes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotCounts {
    /// Whether the core serves.
    pub(crate) is_up: bool,
    /// Whether nobody needs it.
    pub(crate) is_idle: bool,
    /// Slots that the core has.
    pub(crate) slots: usize,
    /// Slots that have a node.
    pub(crate) nodes: usize,
    /// Slots with open streams or associations, or dials.
    pub(crate) in_use: usize,
    /// Nodes that the core has refused until now.
    pub(crate) refusals: u64,
}

impl SlotTable {
    /// An empty table of at most `most` slots. `first_block` of them are made at first, and as many again as there are when they do not suffice.
    pub(crate) fn new(first_block: usize, most: usize, render: Render) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            first_block: first_block.max(1),
            slots: Vec::new(),
            blocks: Vec::new(),
            by_node: HashMap::new(),
            free: Vec::new(),
            hand: 0,
            core: Core::Idle,
            refused: HashMap::new(),
            refusals: 0,
            last_use: now,
            is_dirty: false,
        };
        let (turns, work) = (watch::Sender::new(0), Notify::new());
        Arc::new(Self { state: Mutex::new(state), render, most, turns, work })
    }

    /// A slot for a node: its own, a free one, or the one that was not used for the longest.
    ///
    /// # Errors
    /// [`Cause::CoreRefused`], [`Cause::CoreUnavailable`] when every slot is in use.
    pub(crate) fn lease(self: &Arc<Self>, node: &Arc<CoreNode>, addresses: &Addresses) -> Result<SlotLease, Cause> {
        let mut state = self.state.lock();
        if let Some(reason) = state.refused.get(&node.key()) {
            return Err(Cause::CoreRefused((&**reason).into()));
        }
        let known = state.by_node.get(&node.key()).copied();
        let index = match known {
            Some(index) => index,
            None => state.take_slot(self.most).ok_or(Cause::CoreUnavailable("every slot is in use"))?,
        };
        let is_new = known.is_none();
        if is_new {
            let rendered = (self.render)(&slot_name(index), &node.spec);
            let Ok(entries) = rendered else {
                state.free.push(index);
                return Err(Cause::CoreRefused("it cannot be written for the core".into()));
            };
            state.by_node.insert(node.key(), index);
            state.put(index, Arc::clone(node), entries.into());
        }
        state.last_use = Instant::now();
        let mut has_moved = false;
        if let Some(slot) = state.slots.get_mut(index) {
            slot.uses += 1;
            slot.was_used = true;
            has_moved = is_new || !slot.addresses.iter().any(|known| addresses.contains(known));
            if has_moved {
                slot.addresses = Arc::clone(addresses);
                slot.revision += 1;
            }
        }
        let is_idle = matches!(state.core, Core::Idle);
        if is_idle {
            state.core = Core::Down(Instant::now());
        }
        if has_moved || is_idle {
            state.is_dirty = true;
            self.work.notify_one();
        }
        drop(state);
        Ok(SlotLease::new(Arc::clone(self), index))
    }

    /// What the core knows of a slot.
    ///
    /// # Errors
    /// [`Cause::CoreRefused`].
    pub(super) fn slot_state(&self, index: usize) -> Result<SlotState, Cause> {
        let state = self.state.lock();
        let Some(slot) = state.slots.get(index) else { return Ok(SlotState::Waiting) };
        if let Some(reason) = &slot.refused {
            return Err(Cause::CoreRefused((&**reason).into()));
        }
        let (start, listeners) = match &state.core {
            Core::Idle => return Ok(SlotState::Waiting),
            Core::Down(since) => return Ok(SlotState::Down(*since)),
            Core::Up { start, listeners } => (*start, listeners),
        };
        let listener = state.block_of(index).and_then(|block| listeners.get(block));
        Ok(match listener.filter(|_| slot.known == slot.revision) {
            Some(address) => SlotState::Known(SlotAccess { address: *address, user: slot.user, start }),
            None => SlotState::Waiting,
        })
    }

    pub(super) fn release(&self, index: usize) {
        let mut state = self.state.lock();
        state.last_use = Instant::now();
        let Some(slot) = state.slots.get_mut(index) else { return };
        slot.uses = slot.uses.saturating_sub(1);
        if slot.uses == 0 && slot.refused.take().is_some() {
            state.clear(index);
        }
    }

    pub(super) fn is_current(&self, wanted: u64) -> bool {
        matches!(self.state.lock().core, Core::Up { start, .. } if start == wanted)
    }

    pub(super) fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// Waits until there is something to tell the core.
    pub(crate) async fn changed(&self) {
        loop {
            let notified = self.work.notified();
            if self.state.lock().is_dirty {
                return;
            }
            notified.await;
        }
    }

    /// When a slot was used last; `None` while one is in use.
    pub(crate) fn unused_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.slots.iter().all(|slot| slot.uses == 0).then_some(state.last_use)
    }

    /// What the core is to know now. What changes from here on makes [`Self::changed`] complete again.
    pub(crate) fn plan(&self) -> SlotPlan {
        let mut state = self.state.lock();
        state.is_dirty = false;
        let planned = |slot: &Slot| PlannedSlot {
            user: slot.user,
            node: slot.node.clone().filter(|_| slot.refused.is_none()),
            entries: if slot.refused.is_none() { Arc::clone(&slot.entries) } else { Arc::default() },
            addresses: Arc::clone(&slot.addresses),
            is_proven: slot.is_proven,
            revision: slot.revision,
        };
        SlotPlan { slots: state.slots.iter().map(planned).collect(), blocks: state.blocks.clone() }
    }

    /// Something that was planned has to be told later.
    pub(crate) fn plan_again(&self) {
        self.state.lock().is_dirty = true;
        self.work.notify_one();
    }

    /// The core serves: its start with this number has these listeners, one for each block.
    pub(crate) fn set_up(&self, start: u64, listeners: Vec<SocketAddr>) {
        self.state.lock().core = Core::Up { start, listeners };
        self.turn();
    }

    /// The core that serves has further listeners.
    pub(crate) fn set_listeners(&self, now: Vec<SocketAddr>) {
        if let Core::Up { listeners, .. } = &mut self.state.lock().core {
            *listeners = now;
        }
    }

    /// The core knows what was planned.
    pub(crate) fn publish(&self, plan: &SlotPlan) {
        let mut state = self.state.lock();
        for (slot, planned) in state.slots.iter_mut().zip(&plan.slots) {
            if planned.node.is_some() && slot.revision == planned.revision {
                slot.known = slot.revision;
                slot.is_proven = true;
            }
        }
        drop(state);
        self.turn();
    }

    /// The core does not serve: it has to be told everything again.
    pub(crate) fn set_down(&self) {
        let mut state = self.state.lock();
        if !matches!(state.core, Core::Down(_)) {
            state.core = Core::Down(Instant::now());
        }
        state.forget_known();
        drop(state);
        self.turn();
    }

    /// The core was ended because nobody needs it; unless somebody does by now.
    pub(crate) fn set_idle(&self) {
        let mut state = self.state.lock();
        state.forget_known();
        if state.slots.iter().any(|slot| slot.uses > 0) {
            state.core = Core::Down(Instant::now());
            state.is_dirty = true;
            self.work.notify_one();
        } else {
            state.core = Core::Idle;
        }
        drop(state);
        self.turn();
    }

    /// Of no node it is known any more that the core takes it: it may be another version now.
    pub(crate) fn forget_proofs(&self) {
        let mut state = self.state.lock();
        state.slots.iter_mut().for_each(|slot| slot.is_proven = false);
        state.is_dirty = true;
        self.work.notify_one();
    }

    /// The core refuses the node of a slot.
    pub(crate) fn refuse(&self, index: usize, planned: &PlannedSlot, reason: &str) {
        let Some(node) = &planned.node else { return };
        let end = reason.floor_char_boundary(LONGEST_REASON);
        let reason: Arc<str> = reason.get(..end).unwrap_or_default().into();
        let mut state = self.state.lock();
        state.refusals += 1;
        if state.refused.len() >= MOST_REFUSED
            && let Some(any) = state.refused.keys().next().copied()
        {
            state.refused.remove(&any);
        }
        state.refused.insert(node.key(), Arc::clone(&reason));
        let State { slots, .. } = &mut *state;
        let Some(slot) = slots.get_mut(index).filter(|slot| slot.node.as_ref().is_some_and(|n| n.key() == node.key()))
        else {
            return;
        };
        if slot.uses == 0 {
            state.clear(index);
        } else {
            slot.refused = Some(reason);
            state.by_node.remove(&node.key());
        }
        drop(state);
        self.turn();
    }

    /// The nodes that the core has refused, with its reasons.
    pub(crate) fn refused(&self) -> Vec<(NodeId, Arc<str>)> {
        let state = self.state.lock();
        state.refused.iter().map(|((id, _), reason)| (*id, Arc::clone(reason))).collect()
    }

    pub(crate) fn counts(&self) -> SlotCounts {
        let state = self.state.lock();
        SlotCounts {
            is_up: matches!(state.core, Core::Up { .. }),
            is_idle: matches!(state.core, Core::Idle),
            slots: state.slots.len(),
            nodes: state.by_node.len(),
            in_use: state.slots.iter().filter(|slot| slot.uses > 0).count(),
            refusals: state.refusals,
        }
    }

    fn turn(&self) {
        self.turns.send_modify(|turn| *turn += 1);
    }
}

impl State {
    /// A slot that nobody has any more.
    fn take_slot(&mut self, most: usize) -> Option<usize> {
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
            entries: Arc::default(),
            addresses: Arc::default(),
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
    fn forget_known(&mut self) {
        for slot in &mut self.slots {
            slot.known = 0;
        }
    }

    fn block_of(&self, index: usize) -> Option<usize> {
        let mut end = 0;
        self.blocks.iter().position(|size| {
            end += size;
            index < end
        })
    }

    fn put(&mut self, index: usize, node: Arc<CoreNode>, entries: Arc<[String]>) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.node = Some(node);
            slot.entries = entries;
            slot.is_proven = false;
            slot.refused = None;
        }
    }

    /// Takes the node out of a slot.
    fn clear(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.entries = Arc::default();
        slot.revision += 1;
        if let Some(node) = slot.node.take()
            && self.by_node.get(&node.key()) == Some(&index)
        {
            self.by_node.remove(&node.key());
        }
        self.free.push(index);
    }
}
