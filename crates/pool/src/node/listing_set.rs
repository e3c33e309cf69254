//! The sources that list one node: seldom more than one, and a million nodes have such a set each.

use std::{
    ops::{Deref, DerefMut},
    slice,
    sync::Arc,
};

use smallvec::{SmallVec, smallvec};

use crate::Listing;

/// The listings of one node in 16 bytes, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) enum ListingSet {
    #[default]
    Empty,
    One(Arc<Listing>),
    Many(Box<SmallVec<[Arc<Listing>; 4]>>),
}

impl ListingSet {
    pub(crate) fn push(&mut self, listing: Arc<Listing>) {
        *self = match std::mem::take(self) {
            Self::Empty => Self::One(listing),
            Self::One(first) => Self::Many(Box::new(smallvec![first, listing])),
            Self::Many(mut many) => {
                many.push(listing);
                Self::Many(many)
            }
        };
    }

    /// Takes out what a source lists.
    pub(crate) fn remove(&mut self, source: &str) {
        let kept = |listing: &Arc<Listing>| *listing.source != *source;
        match self {
            Self::One(listing) if !kept(listing) => *self = Self::Empty,
            Self::Empty | Self::One(_) => {}
            Self::Many(many) => {
                many.retain(|listing| kept(listing));
                if let [] | [_] = &***many {
                    *self = many.pop().map_or(Self::Empty, Self::One);
                }
            }
        }
    }
}

impl FromIterator<Arc<Listing>> for ListingSet {
    fn from_iter<I: IntoIterator<Item = Arc<Listing>>>(listings: I) -> Self {
        let mut set = Self::default();
        listings.into_iter().for_each(|listing| set.push(listing));
        set
    }
}

impl Deref for ListingSet {
    type Target = [Arc<Listing>];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Empty => &[],
            Self::One(listing) => slice::from_ref(listing),
            Self::Many(many) => many,
        }
    }
}

impl DerefMut for ListingSet {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Empty => &mut [],
            Self::One(listing) => slice::from_mut(listing),
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_list_of_sources(steps in prop::collection::vec((any::<bool>(), 0..7_u8), 0..60)) {
            let (mut model, mut set) = (Vec::<String>::new(), ListingSet::default());
            for (add, number) in steps {
                let name = format!("source {number}");
                if !add {
                    model.retain(|other| *other != name);
                    set.remove(&name);
                } else if !model.contains(&name) {
                    set.push(Arc::new(Listing { source: name.as_str().into(), allow_private: false }));
                    model.push(name);
                }
                let listed: Vec<_> = set.iter().map(|listing| listing.source.to_string()).collect();
                prop_assert_eq!(&listed, &model);
            }
        }
    }
}
