//! The slots of the nodes behind one exit: seldom more than three, and there may be a million such lists.

use smallvec::SmallVec;

/// Slots that lie in place.
const IN_PLACE: usize = 3;

/// A list of slots in 16 bytes, of which up to three lie in place.
#[derive(Clone, Debug)]
pub(super) enum SlotList {
    Few { len: u8, slots: [u32; IN_PLACE] },
    Many(Box<Slots>),
}

#[derive(Clone, Debug)]
pub(super) struct Slots(Vec<u32>);

impl Default for SlotList {
    fn default() -> Self {
        Self::Few { len: 0, slots: [0; IN_PLACE] }
    }
}

impl SlotList {
    /// The list of one slot.
    pub(super) const fn of_one(slot: u32) -> Self {
        Self::Few { len: 1, slots: [slot, 0, 0] }
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few { len, slots } => slots.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(slots) => &slots.0,
        }
    }

    pub(super) fn push(&mut self, slot: u32) {
        match self {
            Self::Few { len, slots } => match slots.get_mut(usize::from(*len)) {
                Some(place) => {
                    *place = slot;
                    *len += 1;
                }
                None => {
                    let many = slots.iter().copied().chain([slot]).collect();
                    *self = Self::Many(Box::new(Slots(many)));
                }
            },
            Self::Many(slots) => slots.0.push(slot),
        }
    }

    /// Takes a slot out; the order of the others stays.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Self::Many(slots) = self
            && slots.0.len() > IN_PLACE + 1
        {
            return slots.0.retain(|other| *other != slot);
        }
        let kept: SmallVec<[u32; IN_PLACE + 1]> =
            self.as_slice().iter().copied().filter(|other| *other != slot).collect();
        *self = Self::default();
        kept.into_iter().for_each(|other| self.push(other));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_takes_16_bytes() {
        assert!(size_of::<SlotList>() <= 16, "{} bytes", size_of::<SlotList>());
    }

    proptest! {
        #[test]
        fn it_is_a_list_of_different_slots(steps in prop::collection::vec((any::<bool>(), 0..12_u32), 0..100)) {
            let (mut model, mut list) = (Vec::new(), SlotList::default());
            for (add, slot) in steps {
                if !add {
                    model.retain(|other| *other != slot);
                    list.remove(slot);
                } else if !model.contains(&slot) {
                    model.push(slot);
                    list.push(slot);
                }
                prop_assert_eq!(list.as_slice(), &*model);
            }
        }
    }
}
