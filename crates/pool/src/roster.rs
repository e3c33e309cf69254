//! The writers' side of the pool: which node has which slot, and in which views it stands.

use std::{collections::BTreeMap, sync::Arc};

use smallvec::{SmallVec, smallvec};

use crate::{
    Counts, Filter, FilterId, Node, Snapshot, State, TooManyFilters,
    exit::ExitKey,
    filter::Gate,
    seats::Seating,
    snapshot::{Class, Slots, Views},
    view::{View, ViewKey},
};

/// Where a node stands, as far as the views and counts are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    class: Class,
    views: SmallVec<[ViewKey; 2]>,
    /// The weighed latency in µs; 0 for a node in no view.
    latency: u32,
    exit: ExitKey,
}

/// A node's standing at its last placement, and its positions in those views.
#[derive(Clone, Debug)]
struct Placed {
    standing: Standing,
    positions: SmallVec<[u32; 2]>,
}

/// The tables that only writers touch, under the pool's writer lock.
#[derive(Debug)]
pub(crate) struct Roster<D> {
    slots: Arc<Slots<D>>,
    free: Vec<u32>,
    placed: Vec<Option<Placed>>,
    views: Arc<Views>,
    seating: BTreeMap<ViewKey, Seating>,
    counts: Counts,
    gates: Vec<Gate>,
    /// Slots of nodes that another one pushed through a gate or out of it.
    shifted: Vec<u32>,
}

impl<D> Roster<D> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Slots::new()),
            free: Vec::new(),
            placed: Vec::new(),
            views: Arc::new(vec![(ViewKey::ALL, Arc::default())]),
            seating: BTreeMap::new(),
            counts: Counts::default(),
            gates: Vec::new(),
            shifted: Vec::new(),
        }
    }

    /// What readers get to see.
    pub(crate) fn publish(&self) -> Snapshot<D> {
        Snapshot { slots: Arc::clone(&self.slots), views: Arc::clone(&self.views), counts: self.counts }
    }

    pub(crate) fn node_at(&self, slot: u32) -> Option<&Arc<Node<D>>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Keeps views for one more filter from now on.
    pub(crate) fn add_filter(&mut self, filter: Filter) -> Result<FilterId, TooManyFilters> {
        if self.gates.len() >= TooManyFilters::MOST {
            return Err(TooManyFilters);
        }
        self.gates.push(Gate::new(filter));
        let number = self.gates.len() as u16;
        // Made now, so that an empty view is told from an unknown one.
        self.view_mut(ViewKey { filter: number, country: None });
        let slots = Arc::clone(&self.slots);
        for node in slots.iter().flatten() {
            self.place(node);
        }
        Ok(FilterId(number))
    }

    pub(crate) fn filter(&self, id: FilterId) -> Option<&Filter> {
        self.gates.get(usize::from(id.0).checked_sub(1)?).map(|gate| &gate.filter)
    }

    /// Whether what lists a node decides about its views.
    pub(crate) const fn filters(&self) -> bool {
        !self.gates.is_empty()
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
        for (key, position) in placed.standing.views.iter().zip(&placed.positions) {
            self.leave(node, *key, *position, &placed.standing);
        }
        for gate in &mut self.gates {
            gate.withdraw(placed.standing.latency, slot, &mut self.shifted);
        }
        *self.counts.of(placed.standing.class) -= 1;
        Arc::make_mut(&mut self.slots).set(slot as usize, None);
        self.free.push(slot);
        self.place_shifted();
    }

    /// Brings views and counts in line with the node as it is now; says whether anything changed. Whoever comes last
    /// reads the newest state, so the order in which two reports arrive here does not matter.
    pub(crate) fn place(&mut self, node: &Node<D>) -> bool {
        let changed = self.place_one(node);
        self.place_shifted() || changed
    }

    fn place_shifted(&mut self) -> bool {
        let mut changed = false;
        while let Some(slot) = self.shifted.pop() {
            if let Some(node) = self.node_at(slot).cloned() {
                changed |= self.place_one(&node);
            }
        }
        changed
    }

    fn place_one(&mut self, node: &Node<D>) -> bool {
        let slot = node.slot();
        if node.gone() || slot as usize >= self.placed.len() {
            return false;
        }
        let old = self.placed[slot as usize].take();
        let standing = self.standing_of(node, old.as_ref().map(|old| &old.standing));
        if old.as_ref().is_some_and(|old| old.standing == standing) {
            self.placed[slot as usize] = old;
            return false;
        }
        if let Some(old) = &old {
            *self.counts.of(old.standing.class) -= 1;
        }
        *self.counts.of(standing.class) += 1;
        let positions = self.rearrange(node, old.as_ref(), &standing);
        node.set_placed_latency(standing.latency);
        self.placed[slot as usize] = Some(Placed { standing, positions });
        true
    }

    /// Lets a node leave the views that it no longer belongs to, and join the others; returns its positions.
    fn rearrange(&mut self, node: &Node<D>, old: Option<&Placed>, standing: &Standing) -> SmallVec<[u32; 2]> {
        let slot = node.slot();
        let mut positions: SmallVec<[u32; 2]> = smallvec![0; standing.views.len()];
        if let Some(old) = old {
            for (key, position) in old.standing.views.iter().zip(&old.positions) {
                match standing.views.iter().position(|kept| kept == key) {
                    None => self.leave(node, *key, *position, &old.standing),
                    Some(which) => {
                        positions[which] = *position;
                        self.adjust(*key, slot, &old.standing, standing);
                    }
                }
            }
        }
        for (which, key) in standing.views.iter().enumerate() {
            if old.is_none_or(|old| !old.standing.views.contains(key)) {
                let (view, seating) = self.view_mut(*key);
                positions[which] = view.join(slot, node.id(), standing.latency);
                seating.join(Arc::make_mut(&mut view.seats), slot, standing.exit);
            }
        }
        positions
    }

    /// A node stays in a view with another latency or exit.
    fn adjust(&mut self, key: ViewKey, slot: u32, old: &Standing, new: &Standing) {
        if old.latency == new.latency && old.exit == new.exit {
            return;
        }
        let (view, seating) = self.view_mut(key);
        if old.latency != new.latency {
            view.reorder(slot, old.latency, new.latency);
        }
        if old.exit != new.exit {
            let seats = Arc::make_mut(&mut view.seats);
            seating.leave(seats, slot, old.exit);
            seating.join(seats, slot, new.exit);
        }
    }

    /// Takes a node out of one of its views and tells the node that moves into its position.
    fn leave(&mut self, node: &Node<D>, key: ViewKey, position: u32, standing: &Standing) {
        let slot = node.slot();
        let (view, seating) = self.view_mut(key);
        let moved = view.leave(position, slot, node.id(), standing.latency);
        seating.leave(Arc::make_mut(&mut view.seats), slot, standing.exit);
        let Some(Some(moved)) = moved.and_then(|slot| self.placed.get_mut(slot as usize)) else { return };
        if let Some(which) = moved.standing.views.iter().position(|other| *other == key) {
            moved.positions[which] = position;
        }
    }

    /// The view with this key, made if there is none. Views stay when they become empty: there are at most as many as
    /// filters times pairs of letters, and their turn counter should not start again.
    fn view_mut(&mut self, key: ViewKey) -> (&mut View, &mut Seating) {
        let views = Arc::make_mut(&mut self.views);
        let index = match views.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(index) => index,
            Err(index) => {
                views.insert(index, (key, Arc::default()));
                index
            }
        };
        (Arc::make_mut(&mut views[index].1), self.seating.entry(key).or_default())
    }

    fn standing_of(&mut self, node: &Node<D>, old: Option<&Standing>) -> Standing {
        let class = node.class();
        let routable = matches!(class, Class::Ordinary(State::Healthy | State::Suspect));
        let latency = if routable { node.weighed_latency() } else { 0 };
        let mut views = SmallVec::new();
        if routable {
            views.push(ViewKey::ALL);
            views.extend(node.country().map(|country| ViewKey { filter: 0, country: Some(country) }));
        }
        let slot = node.slot();
        for (number, gate) in (1..).zip(&mut self.gates) {
            let fits = routable && gate.filter.fits(node);
            if let Some(old) = old.filter(|old| !fits || old.latency != latency) {
                gate.withdraw(old.latency, slot, &mut self.shifted);
            }
            if fits && gate.enter(latency, slot, &mut self.shifted) {
                views.push(ViewKey { filter: number, country: None });
                views.extend(node.country().map(|country| ViewKey { filter: number, country: Some(country) }));
            }
        }
        Standing { class, views, latency, exit: node.exit_place() }
    }
}
