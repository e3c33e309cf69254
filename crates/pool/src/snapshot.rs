//! The pool at one moment, as readers see it: they take it without a lock and never wait for a writer.

use std::sync::Arc;

use crate::{
    Country, Node, State,
    chunked::Chunked,
    view::{View, ViewKey},
};

/// Nodes in numbers. An unsupported node is counted as such and not under its state.
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
}

impl Counts {
    /// All the nodes.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.new + self.healthy + self.suspect + self.dead + self.unsupported
    }

    /// The nodes that may carry traffic.
    #[must_use]
    pub const fn routable(&self) -> usize {
        self.healthy + self.suspect
    }

    pub(crate) const fn of(&mut self, state: State, supported: bool) -> &mut usize {
        match state {
            _ if !supported => &mut self.unsupported,
            State::New => &mut self.new,
            State::Healthy => &mut self.healthy,
            State::Suspect => &mut self.suspect,
            State::Dead => &mut self.dead,
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
        self.members(ViewKey::All)
    }

    /// The nodes that may carry traffic and come out in this country.
    pub fn routable_in(&self, country: Country) -> impl Iterator<Item = &Arc<Node<D>>> {
        self.members(ViewKey::Country(country))
    }

    /// The exit countries of the nodes that may carry traffic, with their numbers.
    pub fn countries(&self) -> impl Iterator<Item = (Country, usize)> {
        self.views.iter().filter_map(|(key, view)| match key {
            ViewKey::Country(country) if view.len() > 0 => Some((*country, view.len())),
            _ => None,
        })
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
