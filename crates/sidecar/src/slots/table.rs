//! The table of slots: who has which, and what the core knows of it.

use std::{net::SocketAddr, sync::Arc};

use hezar_core::NodeId;
use hezar_engine::Cause;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use crate::process::runs;

use super::{
    Addresses, CoreNode, PlannedSlot, SlotLease, SlotPlan,
    lease::SlotAccess,
    state::{Serving, Slot, State},
};

/// The most refused nodes that are remembered.
const MOST_REFUSED: usize = 10_000;
/// The longest reason of a refusal that is kept, in bytes.
const LONGEST_REASON: usize = 300;

/// The slots of one core.
#[derive(Debug)]
pub(crate) struct SlotTable {
    state: Mutex<State>,
    most: usize,
    /// Counts changes of what the core knows.
    turns: watch::Sender<u64>,
    /// Told when the core has to be told something.
    work: Notify,
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
    /// Slots that have a node.
    pub(crate) nodes: usize,
    /// Slots with open streams or associations, or dials.
    pub(crate) in_use: usize,
    /// Nodes that the core has refused until now.
    pub(crate) refusals: u64,
}

impl SlotTable {
    /// An empty table of at most `most` slots. `first_block` of them are made at first, and as many again as there are when they do not suffice.
    pub(crate) fn new(first_block: usize, most: usize) -> Arc<Self> {
        let (turns, work) = (watch::Sender::new(0), Notify::new());
        Arc::new(Self { state: Mutex::new(State::new(first_block)), most, turns, work })
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
            state.by_node.insert(node.key(), index);
            state.put(index, Arc::clone(node));
        }
        state.last_use = Instant::now();
        let mut has_moved = false;
        if let Some(slot) = state.slots.get_mut(index) {
            slot.uses += 1;
            slot.was_used = true;
            has_moved = is_new || slot.has_moved(addresses);
            if has_moved {
                slot.addresses = Arc::clone(addresses);
                slot.addressed_at = Instant::now();
                slot.revision += 1;
            }
        }
        let is_idle = matches!(state.core, Serving::Idle);
        if is_idle {
            state.core = Serving::Down(Instant::now());
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
            Serving::Idle => return Ok(SlotState::Waiting),
            Serving::Down(since) => return Ok(SlotState::Down(*since)),
            Serving::Up { start, listeners, .. } => (*start, listeners),
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
        let pid = match self.state.lock().core {
            Serving::Up { start, pid, .. } if start == wanted => pid,
            _ => return false,
        };
        runs(pid)
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
            entries: Arc::clone(&slot.entries),
            addresses: Arc::clone(&slot.addresses),
            addressed_at: slot.addressed_at,
            is_proven: slot.is_proven,
            revision: slot.revision,
        };
        SlotPlan { slots: state.slots.iter().map(planned).collect(), blocks: state.blocks.clone() }
    }

    /// The user of every slot, in order.
    pub(crate) fn users(&self) -> Vec<Uuid> {
        self.state.lock().slots.iter().map(|slot| slot.user).collect()
    }

    /// Something that was planned has to be told later.
    pub(crate) fn plan_again(&self) {
        self.state.lock().is_dirty = true;
        self.work.notify_one();
    }

    /// The core serves: its start with this number runs as this process, and has these listeners, one for each block.
    pub(crate) fn set_up(&self, start: u64, pid: u32, listeners: Vec<SocketAddr>) {
        self.state.lock().core = Serving::Up { start, pid, listeners };
        self.turn();
    }

    /// The core that serves has further listeners.
    pub(crate) fn set_listeners(&self, now: Vec<SocketAddr>) {
        if let Serving::Up { listeners, .. } = &mut self.state.lock().core {
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
        if !matches!(state.core, Serving::Down(_)) {
            state.core = Serving::Down(Instant::now());
        }
        state.forget_known();
        drop(state);
        self.turn();
    }

    /// The core was ended because nobody needs it; unless somebody does by now. What it was still to be told is not worth another start.
    pub(crate) fn set_idle(&self) {
        let mut state = self.state.lock();
        state.forget_known();
        if state.slots.iter().any(|slot| slot.uses > 0) {
            state.core = Serving::Down(Instant::now());
            state.is_dirty = true;
            self.work.notify_one();
        } else {
            state.core = Serving::Idle;
            state.is_dirty = false;
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
            is_up: matches!(state.core, Serving::Up { .. }),
            is_idle: matches!(state.core, Serving::Idle),
            nodes: state.by_node.len(),
            in_use: state.slots.iter().filter(|slot| slot.uses > 0).count(),
            refusals: state.refusals,
        }
    }

    fn turn(&self) {
        self.turns.send_modify(|turn| *turn += 1);
    }
}
