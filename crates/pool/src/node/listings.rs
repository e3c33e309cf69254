//! The sources that list a node, and the permission that follows from them.

use std::sync::atomic::Ordering::Relaxed;

use super::{Facts, Node};
use crate::{Listing, SourceName};

impl<D> Node<D> {
    /// Whether a source that lists it allows private server addresses. A node that dropped out of its source's list
    /// keeps what that source said.
    #[must_use]
    pub fn allow_private(&self) -> bool {
        self.allow_private.load(Relaxed)
    }

    /// The sources that list it; empty when none does any more.
    #[must_use]
    pub fn sources(&self) -> Vec<Listing> {
        self.facts().listings.iter().map(|listing| Listing::clone(listing)).collect()
    }

    /// Whether any source lists it.
    #[must_use]
    pub fn listed(&self) -> bool {
        !self.facts().listings.is_empty()
    }

    /// The source that listed it last, when none does any more, with the permission that it keeps.
    #[must_use]
    pub fn kept_from(&self) -> Option<Listing> {
        let facts = self.facts();
        facts.kept_from().filter(|_| facts.listings.is_empty()).map(|kept| Listing::clone(kept))
    }

    /// Whether this source lists it.
    #[must_use]
    pub fn listed_by(&self, source: &str) -> bool {
        self.facts().listings.iter().any(|l| &*l.source == source)
    }

    /// Whether any of these sources lists it.
    pub(crate) fn listed_by_any(&self, sources: &[SourceName]) -> bool {
        self.facts().listings.iter().any(|l| sources.contains(&l.source))
    }

    /// Changes its facts under their lock, and the permission that follows from them.
    pub(crate) fn relist<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        let mut facts = self.facts();
        let result = change(&mut facts);
        let allowed = facts.listings.iter().any(|l| l.allow_private);
        // A node that merely dropped out of a list must stay reachable, or it could never be judged again.
        let allowed =
            if facts.listings.is_empty() { facts.kept_from().is_some_and(|kept| kept.allow_private) } else { allowed };
        drop(facts);
        if self.allow_private.swap(allowed, Relaxed) != allowed {
            self.reset_payload();
        }
        result
    }
}
