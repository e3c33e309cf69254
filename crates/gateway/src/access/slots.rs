//! Places of which only so many are taken at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The places that are taken. How many there may be is said by whoever takes one, since settings change.
#[derive(Debug, Default)]
pub(crate) struct Slots(Arc<AtomicUsize>);

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Slots {
    /// Takes one of at most `max` places; `None` when all are taken.
    pub(crate) fn take(&self, max: usize) -> Option<Slot> {
        let update = |taken: usize| (taken < max).then_some(taken + 1);
        self.0.fetch_update(Relaxed, Relaxed, update).ok().map(|_| Slot(self.0.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_left_can_be_taken_again() {
        let slots = Slots::default();
        let (first, second) = (slots.take(2), slots.take(2));
        assert!(first.is_some() && second.is_some() && slots.take(2).is_none());
        drop(first);
        assert!(slots.take(2).is_some());
        assert!(slots.take(1).is_none(), "one is taken, and no more may be");
    }
}
