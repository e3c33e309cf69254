//! In which views a node is, and where in them: what decides it, and what is remembered of it.

use smallvec::SmallVec;

use super::view::ViewKey;
use crate::{
    Country,
    node::{Class, ExitPlace},
};

/// What decides in which views a node is and how it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) class: Class,
    /// The view of all nodes first, then that of its country, then those of filters.
    pub(super) views: SmallVec<[ViewKey; 2]>,
    /// The weighed latency in µs; 0 for a node in no view.
    pub(super) latency: u32,
    pub(super) exit: ExitPlace,
}

/// A view, and the position of a node among its members.
pub(super) type Position = (ViewKey, u32);

/// A placement as the views hold it, with the node's positions in them. A million of them are in memory.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) exit: ExitPlace,
    pub(super) latency: u32,
    pub(super) class: Class,
    /// The country in whose view it is.
    country: Option<Country>,
    /// Its position in the view of all nodes, if it is routable.
    position: u32,
    position_in_country: u32,
    /// Its positions in the views of filters. Boxed, because most pools have none.
    filtered: Option<Box<Filtered>>,
}

#[derive(Clone, Debug, Default)]
struct Filtered {
    positions: Vec<Position>,
}

impl Placed {
    /// Remembers a placement; `positions` are those in its views, in their order.
    pub(super) fn new(placement: &Placement, positions: &[u32]) -> Self {
        let mut placed = Self {
            exit: placement.exit,
            latency: placement.latency,
            class: placement.class,
            country: None,
            position: 0,
            position_in_country: 0,
            filtered: None,
        };
        for (key, position) in placement.views.iter().zip(positions) {
            match key {
                ViewKey { filter: 0, country: None } => placed.position = *position,
                ViewKey { filter: 0, country } => {
                    (placed.country, placed.position_in_country) = (*country, *position);
                }
                ViewKey { .. } => placed.filtered.get_or_insert_default().positions.push((*key, *position)),
            }
        }
        placed
    }

    /// The views that the node is in, in the order of [`Placement::views`], with its positions.
    pub(super) fn positions(&self) -> SmallVec<[Position; 2]> {
        let mut positions = SmallVec::new();
        if self.class.is_routable() {
            positions.push((ViewKey::ALL, self.position));
        }
        if self.country.is_some() {
            positions.push((ViewKey { filter: 0, country: self.country }, self.position_in_country));
        }
        positions.extend(self.filtered.iter().flat_map(|filtered| &filtered.positions).copied());
        positions
    }

    /// Whether the views hold the node as this placement says.
    pub(super) fn holds(&self, placement: &Placement) -> bool {
        (self.class, self.latency, self.exit) == (placement.class, placement.latency, placement.exit)
            && self.positions().iter().map(|(key, _)| key).eq(&placement.views)
    }

    /// Notes another position in a view.
    pub(super) fn set_position(&mut self, key: ViewKey, position: u32) {
        match key {
            ViewKey { filter: 0, country: None } => self.position = position,
            ViewKey { filter: 0, .. } => self.position_in_country = position,
            ViewKey { .. } => {
                let positions = self.filtered.iter_mut().flat_map(|filtered| &mut filtered.positions);
                positions.filter(|(view, _)| *view == key).for_each(|(_, known)| *known = position);
            }
        }
    }

    /// Forgets the node's positions in the views of a filter, which are gone.
    pub(super) fn leave_views_of(&mut self, filter: u32) {
        if let Some(filtered) = &mut self.filtered {
            filtered.positions.retain(|(key, _)| key.filter != filter);
        }
        self.filtered.take_if(|filtered| filtered.positions.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_takes_40_bytes() {
        assert!(size_of::<Option<Placed>>() <= 40, "{} bytes", size_of::<Option<Placed>>());
    }
}
