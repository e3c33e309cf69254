//! The index over the nodes: which slot each node has, and which views it is in. Writers change it and publish snapshots.

mod bulk;
pub(crate) mod chunked;
mod exits;
mod fastest;
mod placement;
mod slot_list;
mod snapshot;
pub(crate) mod sorted;
mod tables;
mod view;

use std::{collections::BTreeMap, sync::Arc};

use smallvec::{SmallVec, smallvec};

use crate::{Filter, FilterId, Node, TooManyFilters};
use chunked::Chunked;
use fastest::FastestFilter;
use placement::{Placed, Placement};
use snapshot::Slots;
pub use snapshot::{Counts, Snapshot};
use tables::ViewTables;
pub(crate) use view::{View, ViewKey, key, slot_of};

/// The tables that only writers touch, under the pool's writer lock.
#[derive(Debug)]
pub(crate) struct Index<D> {
    slots: Arc<Slots<D>>,
    free: Vec<u32>,
    placed: Chunked<Option<Placed>, 256>,
    tables: ViewTables,
    counts: Counts,
    /// By their ids, which are never given twice.
    filters: BTreeMap<u32, FastestFilter>,
    last_filter: u32,
    /// Slots of nodes that another one displaced from a filter, or into one.
    displaced: Vec<u32>,
    /// Slots of nodes that were added and not placed yet.
    unplaced: Vec<u32>,
}

impl<D> Index<D> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Slots::new()),
            free: Vec::new(),
            placed: Chunked::new(),
            tables: ViewTables::new(),
            counts: Counts::default(),
            filters: BTreeMap::new(),
            last_filter: 0,
            displaced: Vec::new(),
            unplaced: Vec::new(),
        }
    }

    /// What readers get to see.
    pub(crate) fn publish(&self) -> Snapshot<D> {
        Snapshot { slots: Arc::clone(&self.slots), views: self.tables.views(), counts: self.counts }
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
        self.tables.view_mut(ViewKey { filter: id, country: None });
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
        self.tables.remove_views_of(id);
        for slot in 0..self.placed.len() {
            self.placed.update(slot, |placed| {
                if let Some(placed) = placed {
                    placed.leave_views_of(id);
                }
            });
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
        self.give_slot(&node);
        self.place(&node);
    }

    /// Gives a new node a slot; it is in no view, and not counted, until [`Index::place_unplaced`].
    pub(crate) fn add_unplaced(&mut self, node: &Arc<Node<D>>) {
        self.give_slot(node);
        self.unplaced.push(node.slot());
    }

    fn give_slot(&mut self, node: &Arc<Node<D>>) {
        let slots = Arc::make_mut(&mut self.slots);
        let slot = match self.free.pop() {
            Some(slot) => {
                slots.set(slot as usize, Some(Arc::clone(node)));
                slot
            }
            None => {
                slots.push(Some(Arc::clone(node)));
                self.placed.push(None);
                (slots.len() - 1) as u32
            }
        };
        node.set_slot(slot);
    }

    /// Takes a node out; its slot may be given to another one.
    pub(crate) fn remove(&mut self, node: &Node<D>) {
        node.set_gone();
        let slot = node.slot();
        if self.node_at(slot).is_none_or(|held| held.id() != node.id()) {
            return;
        }
        if let Some(placed) = self.placed.set(slot as usize, None).flatten() {
            for (key, position) in placed.positions() {
                self.leave(node, key, position, &placed);
            }
            for filter in self.filters.values_mut() {
                filter.remove(placed.latency, slot, &mut self.displaced);
            }
            *self.counts.class_mut(placed.class) -= 1;
        }
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
        let slot = node.slot() as usize;
        if node.gone() || slot >= self.placed.len() {
            return false;
        }
        let old = self.placed.set(slot, None).flatten();
        let placement = self.placement_of(node, old.as_ref());
        if old.as_ref().is_some_and(|old| old.holds(&placement)) {
            self.placed.set(slot, old);
            return false;
        }
        if let Some(old) = &old {
            *self.counts.class_mut(old.class) -= 1;
        }
        *self.counts.class_mut(placement.class) += 1;
        let positions = self.rearrange(node, old.as_ref(), &placement);
        node.set_placed_latency(placement.latency);
        self.placed.set(slot, Some(Placed::new(&placement, &positions)));
        true
    }

    /// Lets a node leave the views that it no longer belongs to, and join the others; returns its positions.
    fn rearrange(&mut self, node: &Node<D>, old: Option<&Placed>, placement: &Placement) -> SmallVec<[u32; 2]> {
        let slot = node.slot();
        let mut positions: SmallVec<[u32; 2]> = smallvec![0; placement.views.len()];
        let held = old.map(Placed::positions).unwrap_or_default();
        if let Some(old) = old {
            for (key, position) in &held {
                match placement.views.iter().position(|kept| kept == key) {
                    None => self.leave(node, *key, *position, old),
                    Some(which) => {
                        positions[which] = *position;
                        self.adjust(*key, slot, old, placement);
                    }
                }
            }
        }
        for (which, key) in placement.views.iter().enumerate() {
            if !held.iter().any(|(view, _)| view == key) {
                let (view, exit_writer) = self.tables.view_mut(*key);
                positions[which] = view.join(slot, node.id(), placement.latency);
                exit_writer.join(Arc::make_mut(&mut view.exits), slot, placement.exit);
            }
        }
        positions
    }

    /// A node stays in a view with another latency or exit.
    fn adjust(&mut self, key: ViewKey, slot: u32, old: &Placed, new: &Placement) {
        if old.latency == new.latency && old.exit == new.exit {
            return;
        }
        let (view, exit_writer) = self.tables.view_mut(key);
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
    fn leave(&mut self, node: &Node<D>, key: ViewKey, position: u32, old: &Placed) {
        let slot = node.slot();
        let (view, exit_writer) = self.tables.view_mut(key);
        let moved = view.leave(position, slot, node.id(), old.latency);
        exit_writer.leave(Arc::make_mut(&mut view.exits), slot, old.exit);
        let Some(moved) = moved else { return };
        self.placed.update(moved as usize, |moved| {
            if let Some(moved) = moved {
                moved.set_position(key, position);
            }
        });
    }

    fn placement_of(&mut self, node: &Node<D>, old: Option<&Placed>) -> Placement {
        let class = node.class();
        let routable = class.is_routable();
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
