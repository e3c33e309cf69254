//! Nodes that long scans have found, by what was asked: where nearly nothing fits, the next pick tries them before it scans again.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use smallvec::SmallVec;

/// Kinds of queries that are remembered; of two with the same place the last one is.
const KINDS: usize = 256;
/// Nodes that are remembered for each.
pub(crate) const MOST: usize = 16;
/// No slot.
const NONE: u32 = u32::MAX;

/// One kind of queries with the slots of nodes that fitted. A reader may see the slots of another kind; it asks every node itself.
#[derive(Debug)]
struct Place {
    kind: AtomicU64,
    slots: [AtomicU32; MOST],
    /// Whether the whole view has been walked for this kind, so that others are few or have come since.
    walked: AtomicBool,
    /// Where the next slot goes.
    next: AtomicU32,
}

/// The table.
#[derive(Debug)]
pub(crate) struct RareFits(Box<[Place]>);

impl RareFits {
    pub(crate) fn new() -> Self {
        let slots = || std::array::from_fn(|_| AtomicU32::new(NONE));
        let place = |_| Place {
            kind: AtomicU64::new(0),
            slots: slots(),
            walked: AtomicBool::new(false),
            next: AtomicU32::new(0),
        };
        Self((0..KINDS).map(place).collect())
    }

    /// The slots of nodes that fitted such a query, at most [`MOST`], and whether a whole view was walked to find them. Each node has to
    /// be asked whether it still fits.
    pub(crate) fn of_kind(&self, kind: u64) -> (SmallVec<[u32; MOST]>, bool) {
        let Some(place) = self.place(kind).filter(|place| place.kind.load(Relaxed) == kind) else {
            return (SmallVec::new(), false);
        };
        let slots = place.slots.iter().map(|slot| slot.load(Relaxed)).filter(|slot| *slot != NONE).collect();
        (slots, place.walked.load(Relaxed))
    }

    /// Remembers the nodes that a walk over a whole view has found, at most [`MOST`].
    pub(crate) fn note_walk(&self, kind: u64, slots: impl Iterator<Item = u32>) {
        slots.for_each(|slot| self.note(kind, slot));
        if let Some(place) = self.place(kind).filter(|place| place.kind.load(Relaxed) == kind) {
            place.walked.store(true, Relaxed);
        }
    }

    /// Remembers that a node fits such a query; the one that was noted longest ago is forgotten for it.
    pub(crate) fn note(&self, kind: u64, slot: u32) {
        let Some(place) = self.place(kind) else { return };
        if place.kind.swap(kind, Relaxed) != kind {
            place.walked.store(false, Relaxed);
            place.slots.iter().for_each(|slot| slot.store(NONE, Relaxed));
        }
        if place.slots.iter().any(|known| known.load(Relaxed) == slot) {
            return;
        }
        let next = place.next.fetch_add(1, Relaxed) as usize % MOST;
        if let Some(place) = place.slots.get(next) {
            place.store(slot, Relaxed);
        }
    }

    fn place(&self, kind: u64) -> Option<&Place> {
        self.0.get(kind as usize % KINDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_nodes_of_a_kind_are_remembered() {
        let rare = RareFits::new();
        let other = 7 + KINDS as u64;
        assert_eq!(rare.of_kind(7), (SmallVec::new(), false));
        (0..20).for_each(|slot| rare.note(7, slot));
        rare.note(7, 19);
        let (mut known, walked) = rare.of_kind(7);
        known.sort_unstable();
        assert_eq!((&*known, walked), (&*(4..20).collect::<Vec<_>>(), false));
        rare.note_walk(other, [1, 2].into_iter());
        assert_eq!(rare.of_kind(7), (SmallVec::new(), false), "another kind has its place");
        assert_eq!(rare.of_kind(other), (smallvec::smallvec![1, 2], true));
        rare.note(7, 3);
        assert_eq!(rare.of_kind(7), (smallvec::smallvec![3], false), "a walk for another kind does not count");
    }
}
