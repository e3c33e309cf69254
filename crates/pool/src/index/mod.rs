//! The index over the nodes: which slot each node has, and which views it is in. Writers change it and publish snapshots.

pub(crate) mod chunked;
mod exits;
mod fastest;
mod snapshot;
pub(crate) mod sorted;
mod view;

use std::{collections::BTreeMap, sync::Arc};

use smallvec::{SmallVec, smallvec};

use crate::{
    Filter, FilterId, Node, State, TooManyFilters,
    node::{Class, ExitPlace},
};
use exits::ExitTableWriter;
use fastest::FastestFilter;
pub use snapshot::{Counts, Snapshot};
use snapshot::{Slots, Views};
pub(crate) use view::{View, ViewKey, key, slot_of};

/// What decides in which views a node is and how it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Placement {
    class: Class,
    views: SmallVec<[ViewKey; 2]>,
    /// The weighed latency in µs; 0 for a node in no view.
    latency: u32,
    exit: ExitPlace,
}

/// The placement of a node as the views hold it, and its positions in them.
#[derive(Clone, Debug)]
struct Placed {
    placement: Placement,
    positions: SmallVec<[u32; 2]>,
}

impl Placed {
    /// Forgets the node's places in the views of a filter, which are gone.
    fn leave_views_of(&mut self, filter: u32) {
        let mut kept = self.placement.views.iter().map(|key| key.filter != filter);
        self.positions.retain(|_| kept.next().unwrap_or(true));
        self.placement.views.retain(|key| key.filter != filter);
    }
}

/// The tables that only writers touch, under the pool's writer lock.
#[derive(Debug)]
pub(crate) struct Index<D> {
    slots: Arc<Slots<D>>,
    free: Vec<u32>,
    placed: Vec<Option<Placed>>,
    views: Arc<Views>,
    exit_writers: BTreeMap<ViewKey, ExitTableWriter>,
    counts: Counts,
    /// By their ids, which are never given twice.
    filters: BTreeMap<u32, FastestFilter>,
    last_filter: u32,
    /// Slots of nodes that another one displaced from a filter, or into one.
    displaced: Vec<u32>,
}

impl<D> Index<D> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Slots::new()),
            free: Vec::new(),
            placed: Vec::new(),
            views: Arc::new(vec![(ViewKey::ALL, Arc::default())]),
            exit_writers: BTreeMap::new(),
            counts: Counts::default(),
            filters: BTreeMap::new(),
            last_filter: 0,
            displaced: Vec::new(),
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
        let id = self.last_filter.checked_add(1).ok_or(TooManyFilters)?;
        if self.filters.len() >= TooManyFilters::MOST {
            return Err(TooManyFilters);
        }
        self.last_filter = id;
        self.filters.insert(id, FastestFilter::new(filter));
        // Made now, so that an empty view is told from an unknown one.
        self.view_mut(ViewKey { filter: id, country: None });
        let slots = Arc::clone(&self.slots);
        for node in slots.iter().flatten() {
            self.place(node);
        }
        Ok(FilterId(id))
    }

    /// Ends the views of a filter; says whether there was such a filter.
    pub(crate) fn remove_filter(&mut self, FilterId(id): FilterId) -> bool {
        if self.filters.remove(&id).is_none() {
            return false;
        }
        Arc::make_mut(&mut self.views).retain(|(key, _)| key.filter != id);
        self.exit_writers.retain(|key, _| key.filter != id);
        for placed in self.placed.iter_mut().flatten() {
            placed.leave_views_of(id);
        }
        true
    }

    pub(crate) fn filter(&self, id: FilterId) -> Option<&Filter> {
        self.filters.get(&id.0).map(|filter| &filter.filter)
    }

    /// Whether what lists a node decides about its views.
    pub(crate) fn has_filters(&self) -> bool {
        !self.filters.is_empty()
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
        for (key, position) in placed.placement.views.iter().zip(&placed.positions) {
            self.leave(node, *key, *position, &placed.placement);
        }
        for filter in self.filters.values_mut() {
            filter.remove(placed.placement.latency, slot, &mut self.displaced);
        }
        *self.counts.class_mut(placed.placement.class) -= 1;
        Arc::make_mut(&mut self.slots).set(slot as usize, None);
        self.free.push(slot);
        self.place_displaced();
    }

    /// Brings views and counts in line with the node as it is now; says whether anything changed. Whoever comes last
    /// reads the newest state, so the order in which two reports arrive here does not matter.
    pub(crate) fn place(&mut self, node: &Node<D>) -> bool {
        let changed = self.place_one(node);
        self.place_displaced() || changed
    }

    fn place_displaced(&mut self) -> bool {
        let mut changed = false;
        while let Some(slot) = self.displaced.pop() {
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
        let placement = self.placement_of(node, old.as_ref().map(|old| &old.placement));
        if old.as_ref().is_some_and(|old| old.placement == placement) {
            self.placed[slot as usize] = old;
            return false;
        }
        if let Some(old) = &old {
            *self.counts.class_mut(old.placement.class) -= 1;
        }
        *self.counts.class_mut(placement.class) += 1;
        let positions = self.rearrange(node, old.as_ref(), &placement);
        node.set_placed_latency(placement.latency);
        self.placed[slot as usize] = Some(Placed { placement, positions });
        true
    }

    /// Lets a node leave the views that it no longer belongs to, and join the others; returns its positions.
    fn rearrange(&mut self, node: &Node<D>, old: Option<&Placed>, placement: &Placement) -> SmallVec<[u32; 2]> {
        let slot = node.slot();
        let mut positions: SmallVec<[u32; 2]> = smallvec![0; placement.views.len()];
        if let Some(old) = old {
            for (key, position) in old.placement.views.iter().zip(&old.positions) {
                match placement.views.iter().position(|kept| kept == key) {
                    None => self.leave(node, *key, *position, &old.placement),
                    Some(which) => {
                        positions[which] = *position;
                        self.adjust(*key, slot, &old.placement, placement);
                    }
                }
            }
        }
        for (which, key) in placement.views.iter().enumerate() {
            if old.is_none_or(|old| !old.placement.views.contains(key)) {
                let (view, exit_writer) = self.view_mut(*key);
                positions[which] = view.join(slot, node.id(), placement.latency);
                exit_writer.join(Arc::make_mut(&mut view.exits), slot, placement.exit);
            }
        }
        positions
    }

    /// A node stays in a view with another latency or exit.
    fn adjust(&mut self, key: ViewKey, slot: u32, old: &Placement, new: &Placement) {
        if old.latency == new.latency && old.exit == new.exit {
            return;
        }
        let (view, exit_writer) = self.view_mut(key);
        if old.latency != new.latency {
            view.reorder(slot, old.latency, new.latency);
        }
        if old.exit != new.exit {
            let exits = Arc::make_mut(&mut view.exits);
            exit_writer.leave(exits, slot, old.exit);
            exit_writer.join(exits, slot, new.exit);
        }
    }

    /// Takes a node out of one of its views and tells the node that moves into its position.
    fn leave(&mut self, node: &Node<D>, key: ViewKey, position: u32, placement: &Placement) {
        let slot = node.slot();
        let (view, exit_writer) = self.view_mut(key);
        let moved = view.leave(position, slot, node.id(), placement.latency);
        exit_writer.leave(Arc::make_mut(&mut view.exits), slot, placement.exit);
        let Some(Some(moved)) = moved.and_then(|slot| self.placed.get_mut(slot as usize)) else { return };
        if let Some(which) = moved.placement.views.iter().position(|other| *other == key) {
            moved.positions[which] = position;
        }
    }

    /// The view with this key, made if there is none. Views stay when they become empty: there are at most as many as
    /// filters times pairs of letters, and their turn counter should not start again.
    fn view_mut(&mut self, key: ViewKey) -> (&mut View, &mut ExitTableWriter) {
        let views = Arc::make_mut(&mut self.views);
        let index = match views.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(index) => index,
            Err(index) => {
                views.insert(index, (key, Arc::default()));
                index
            }
        };
        (Arc::make_mut(&mut views[index].1), self.exit_writers.entry(key).or_default())
    }

    fn placement_of(&mut self, node: &Node<D>, old: Option<&Placement>) -> Placement {
        let class = node.class();
        let routable = matches!(class, Class::Ordinary(State::Healthy | State::Suspect));
        let latency = if routable { node.weighed_latency() } else { 0 };
        let mut views = SmallVec::new();
        if routable {
            views.push(ViewKey::ALL);
            views.extend(node.country().map(|country| ViewKey { filter: 0, country: Some(country) }));
        }
        let slot = node.slot();
        for (number, filter) in &mut self.filters {
            let number = *number;
            let fits = routable && filter.filter.fits(node);
            if let Some(old) = old.filter(|old| !fits || old.latency != latency) {
                filter.remove(old.latency, slot, &mut self.displaced);
            }
            if fits && filter.insert(latency, slot, &mut self.displaced) {
                views.push(ViewKey { filter: number, country: None });
                views.extend(node.country().map(|country| ViewKey { filter: number, country: Some(country) }));
            }
        }
        Placement { class, views, latency, exit: node.exit_place() }
    }
}
