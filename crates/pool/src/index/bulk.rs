//! Bringing very many nodes into the views at once: each view is sorted and built in one go instead of node by node.

use std::{collections::BTreeMap, sync::Arc};

use smallvec::SmallVec;

use super::{
    Index,
    placement::Placed,
    view::{ViewKey, key, point},
};

impl<D> Index<D> {
    /// Places the nodes of [`Index::add_unplaced`]. A node whose slot has been placed meanwhile is left as it is.
    pub(crate) fn place_unplaced(&mut self) {
        let slots = std::mem::take(&mut self.unplaced);
        // A filter with a bound lets a node in by what the others are, so that they come one by one; as few beside many do, for whom
        // whole views need not be built anew.
        if self.has_filters() || slots.len() < self.slots.len() / 8 {
            for slot in slots {
                if let Some(node) = self.node_at(slot).cloned() {
                    self.place(&node);
                }
            }
            return;
        }
        let mut joining: BTreeMap<ViewKey, Vec<u32>> = BTreeMap::new();
        for slot in slots {
            self.prepare(slot, &mut joining);
        }
        for (view, slots) in joining {
            self.join_all(view, &slots);
        }
    }

    /// Notes the placement of a node that is in no view yet, and what it will join.
    fn prepare(&mut self, slot: u32, joining: &mut BTreeMap<ViewKey, Vec<u32>>) {
        let is_placed = self.placed.get(slot as usize).is_none_or(Option::is_some);
        let Some(node) = self.node_at(slot).filter(|node| !is_placed && !node.gone()).cloned() else { return };
        let placement = self.placement_of(&node, None);
        let positions: SmallVec<[u32; 2]> = placement
            .views
            .iter()
            .map(|view| {
                let slots = joining.entry(*view).or_default();
                slots.push(slot);
                (self.tables.len_of(*view) + slots.len() - 1) as u32
            })
            .collect();
        *self.counts.class_mut(placement.class) += 1;
        node.set_placed_latency(placement.latency);
        self.placed.set(slot as usize, Some(Placed::new(&placement, &positions)));
    }

    /// Lets nodes join a view, in the order of the positions that they were promised. Their placements are read, not the nodes,
    /// which may have changed since.
    fn join_all(&mut self, view: ViewKey, slots: &[u32]) {
        let (view, exit_writer) = self.tables.view_mut(view);
        let (nodes, placed) = (&self.slots, &self.placed);
        let placed = |slot: u32| placed.get(slot as usize).and_then(Option::as_ref);
        let ring = slots.iter().filter_map(|slot| {
            let node = nodes.get(*slot as usize)?.as_ref()?;
            Some(key(point(node.id()), *slot))
        });
        let order = slots.iter().filter_map(|slot| Some(key(placed(*slot)?.latency, *slot)));
        view.join_all(slots, ring.collect(), order.collect());
        let exits = slots.iter().filter_map(|slot| Some((*slot, placed(*slot)?.exit)));
        exit_writer.join_all(Arc::make_mut(&mut view.exits), exits);
    }
}
