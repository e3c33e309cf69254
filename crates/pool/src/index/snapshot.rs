//! The pool at one moment, as readers see it: they take it without a lock and never wait for a writer.

use std::sync::Arc;

use super::{
    chunked::Chunked,
    view::{View, ViewKey},
};
use crate::{Country, Node, State, node::Class};

/// Nodes in numbers. An unsupported, quarantined or disabled node is counted as such and not under its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Never judged yet.
    pub new: usize,
    /// Healthy.
    pub healthy: usize,
    /// Suspect.
    pub suspect: usize,
    /// Dead.
    pub dead: usize,
    /// No dialer can be built for them.
    pub unsupported: usize,
    /// They were caught tampering.
    pub quarantined: usize,
    /// An operator has switched them off.
    pub disabled: usize,
}

impl Counts {
    /// Whether no node is usable, and some may turn out to be.
    #[must_use]
    pub const fn only_new(&self) -> bool {
        self.healthy == 0 && self.suspect == 0 && self.new > 0
    }
}

impl Counts {
    /// All the nodes.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.new + self.healthy + self.suspect + self.dead + self.unsupported + self.quarantined + self.disabled
    }

    /// The nodes that may carry traffic.
    #[must_use]
    pub const fn routable(&self) -> usize {
        self.healthy + self.suspect
    }

    pub(crate) const fn class_mut(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Disabled => &mut self.disabled,
            Class::Unsupported => &mut self.unsupported,
            Class::Quarantined => &mut self.quarantined,
            Class::Ordinary(State::New) => &mut self.new,
            Class::Ordinary(State::Healthy) => &mut self.healthy,
            Class::Ordinary(State::Suspect) => &mut self.suspect,
            Class::Ordinary(State::Dead) => &mut self.dead,
        }
    }
}

/// The table of nodes by slot; a free slot is empty.
pub(crate) type Slots<D> = Chunked<Option<Arc<Node<D>>>, 256>;

/// The views, sorted by key.
pub(crate) type Views = Vec<(ViewKey, Arc<View>)>;

/// The pool at one moment: which nodes there are and which views they are in. The nodes themselves are shared, so
/// what a node says about itself is always the newest.
#[derive(Debug)]
pub struct Snapshot<D> {
    pub(crate) slots: Arc<Slots<D>>,
    pub(crate) views: Arc<Views>,
    pub(crate) counts: Counts,
}

impl<D> Snapshot<D> {
    /// Nodes per state.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// All the nodes, in an order that stays the same while they stay.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node<D>>> {
        self.slots.iter().flatten()
    }

    /// The nodes that may carry traffic.
    pub fn routable(&self) -> impl Iterator<Item = &Arc<Node<D>>> {
        self.members(ViewKey::ALL)
    }

    /// The nodes that may carry traffic and come out in this country.
    pub fn routable_in(&self, country: Country) -> impl Iterator<Item = &Arc<Node<D>>> {
        self.members(ViewKey { filter: 0, country: Some(country) })
    }

    /// The exit countries of the nodes that may carry traffic, with their numbers.
    pub fn countries(&self) -> impl Iterator<Item = (Country, usize)> {
        self.views.iter().filter_map(|(key, view)| match key {
            ViewKey { filter: 0, country: Some(country) } if view.len() > 0 => Some((*country, view.len())),
            _ => None,
        })
    }

    /// The number of different exits behind the nodes that may carry traffic. A node whose exit is not known counts
    /// by its server.
    #[must_use]
    pub fn exits(&self) -> usize {
        self.view(ViewKey::ALL).map_or(0, |view| view.exits.len())
    }

    fn members(&self, key: ViewKey) -> impl Iterator<Item = &Arc<Node<D>>> {
        self.view(key).into_iter().flat_map(|view| view.members.iter()).filter_map(|slot| self.node_at(*slot))
    }

    pub(crate) fn view(&self, key: ViewKey) -> Option<&View> {
        let index = self.views.binary_search_by_key(&key, |(k, _)| *k).ok()?;
        self.views.get(index).map(|(_, view)| &**view)
    }

    pub(crate) fn node_at(&self, slot: u32) -> Option<&Arc<Node<D>>> {
        self.slots.get(slot as usize)?.as_ref()
    }
}
