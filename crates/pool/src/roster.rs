//! The writers' side of the pool: which node has which slot, and in which views it stands.

use std::sync::Arc;

use crate::{
    Counts, Node, Snapshot, State,
    snapshot::{Slots, Views},
    view::{View, ViewKey},
};

/// The number of views a node can stand in at once.
const PLACES: usize = 2;

/// Where a node stands, as far as the views and counts are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    state: State,
    supported: bool,
    views: [Option<ViewKey>; PLACES],
    /// The weighed latency in µs; 0 for a node in no view.
    latency: u32,
}

/// A node's standing at its last placement, and its positions in those views.
#[derive(Clone, Copy, Debug)]
struct Placed {
    standing: Standing,
    positions: [u32; PLACES],
}

/// The tables that only writers touch, under the pool's writer lock.
#[derive(Debug)]
pub(crate) struct Roster<D> {
    slots: Arc<Slots<D>>,
    free: Vec<u32>,
    placed: Vec<Option<Placed>>,
    views: Arc<Views>,
    counts: Counts,
}

impl<D> Roster<D> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Slots::new()),
            free: Vec::new(),
            placed: Vec::new(),
            views: Arc::new(vec![(ViewKey::All, Arc::default())]),
            counts: Counts::default(),
        }
    }

    /// What readers get to see.
    pub(crate) fn publish(&self) -> Snapshot<D> {
        Snapshot { slots: Arc::clone(&self.slots), views: Arc::clone(&self.views), counts: self.counts }
    }

    pub(crate) fn node_at(&self, slot: u32) -> Option<&Arc<Node<D>>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Gives a new node a slot and its places.
    pub(crate) fn add(&mut self, node: Arc<Node<D>>) {
        let slots = Arc::make_mut(&mut self.slots);
        let slot = match self.free.pop() {
            Some(slot) => {
                slots.set(slot as usize, Some(Arc::clone(&node)));
                slot
            }
            None => {
                slots.push(Some(Arc::clone(&node)));
                self.placed.push(None);
                (slots.len() - 1) as u32
            }
        };
        node.set_slot(slot);
        self.place(&node);
    }

    /// Takes a node out; its slot may be given to another one.
    pub(crate) fn remove(&mut self, node: &Node<D>) {
        node.set_gone();
        let slot = node.slot();
        let Some(Some(placed)) = self.placed.get_mut(slot as usize).map(Option::take) else { return };
        for which in 0..PLACES {
            self.leave(node, which, &placed);
        }
        *self.counts.of(placed.standing.state, placed.standing.supported) -= 1;
        Arc::make_mut(&mut self.slots).set(slot as usize, None);
        self.free.push(slot);
    }

    /// Brings views and counts in line with the node as it is now; says whether anything changed. Whoever comes last
    /// reads the newest state, so the order in which two reports arrive here does not matter.
    pub(crate) fn place(&mut self, node: &Node<D>) -> bool {
        let slot = node.slot();
        if node.gone() || slot as usize >= self.placed.len() {
            return false;
        }
        let standing = standing_of(node);
        let old = self.placed[slot as usize];
        if old.is_some_and(|old| old.standing == standing) {
            return false;
        }
        if let Some(old) = &old {
            *self.counts.of(old.standing.state, old.standing.supported) -= 1;
        }
        *self.counts.of(standing.state, standing.supported) += 1;
        let mut positions = old.map_or([0; PLACES], |old| old.positions);
        for (which, position) in positions.iter_mut().enumerate() {
            let key = standing.views[which];
            match (old.filter(|o| o.standing.views[which] == key && key.is_some()), key) {
                (Some(old), Some(key)) => {
                    if old.standing.latency != standing.latency {
                        self.view_mut(key).reorder(slot, old.standing.latency, standing.latency);
                    }
                }
                (_, key) => {
                    if let Some(old) = &old {
                        self.leave(node, which, old);
                    }
                    if let Some(key) = key {
                        *position = self.view_mut(key).join(slot, node.id(), standing.latency);
                    }
                }
            }
        }
        node.set_placed_latency(standing.latency);
        self.placed[slot as usize] = Some(Placed { standing, positions });
        true
    }

    /// Takes a node out of one of its views and tells the node that moves into its position.
    fn leave(&mut self, node: &Node<D>, which: usize, placed: &Placed) {
        let Some(key) = placed.standing.views[which] else { return };
        let slot = node.slot();
        let moved = self.view_mut(key).leave(placed.positions[which], slot, node.id(), placed.standing.latency);
        if let Some(Some(moved)) = moved.and_then(|slot| self.placed.get_mut(slot as usize)) {
            moved.positions[which] = placed.positions[which];
        }
    }

    /// The view with this key, made if there is none. Country views stay when they become empty: there are at most
    /// as many as pairs of letters, and their turn counter should not start again.
    fn view_mut(&mut self, key: ViewKey) -> &mut View {
        let views = Arc::make_mut(&mut self.views);
        let index = match views.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(index) => index,
            Err(index) => {
                views.insert(index, (key, Arc::default()));
                index
            }
        };
        Arc::make_mut(&mut views[index].1)
    }
}

fn standing_of<D>(node: &Node<D>) -> Standing {
    let (state, supported) = (node.state(), node.unsupported().is_none());
    if !(state.routable() && supported) {
        return Standing { state, supported, views: [None; PLACES], latency: 0 };
    }
    let views = [Some(ViewKey::All), node.country().map(ViewKey::Country)];
    Standing { state, supported, views, latency: node.weighed_latency() }
}
