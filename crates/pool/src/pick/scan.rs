//! Finding a node that fits: a few draws at random, and where those find none, a scan of the view.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Choice, DRAWS};
use crate::{Node, rare_fits::MOST};

/// Members that are looked at before nodes of earlier scans are tried: where one in a thousand fits, all of them get their share.
const NEAR: usize = 1024;

/// Of so many scans one looks for nodes that are not known yet, although few fit.
const LOOKS_FOR_NEW: usize = 16;

/// What a part of a view holds.
struct Scanned<'s, D> {
    /// The first nodes that fit.
    fitting: SmallVec<[&'s Arc<Node<D>>; MOST]>,
    /// Whether a node was met that fits but for a rest or for the site.
    almost: bool,
}

impl<'s, D> Choice<'s, '_, D> {
    /// A fitting node at random: drawn, or found by a scan from a random place.
    pub(super) fn draw(&mut self) -> Option<&'s Arc<Node<D>>> {
        (0..DRAWS).find_map(|_| self.draw_once()).or_else(|| self.scan())
    }

    pub(super) fn draw_once(&mut self) -> Option<&'s Arc<Node<D>>> {
        let exit = self.rng.below(self.view.exits.len());
        let view = self.view;
        match view.exits.nodes_at(exit) {
            [] => None,
            [slot] => self.at(*slot),
            slots => {
                let index = self.rng.below(slots.len());
                self.at(slots[index])
            }
        }
    }

    pub(super) fn scan(&mut self) -> Option<&'s Arc<Node<D>>> {
        let start = self.rng.below(self.view.len());
        self.scan_from(start)
    }

    /// The first fitting node from an index on, round the whole view. Where nearly nothing fits, the nodes that earlier scans have
    /// found stand in for a walk over all of a large view.
    pub(super) fn scan_from(&mut self, start: usize) -> Option<&'s Arc<Node<D>>> {
        let count = self.view.len();
        if count <= NEAR {
            let scanned = self.look_at(start, count, 1);
            self.hopeless |= !scanned.almost;
            return scanned.fitting.first().copied();
        }
        let kind = self.query.kind(self.asks_sites);
        let (known, walked) = self.tables.rare.of_kind(kind);
        let are_all = walked && known.len() < MOST && self.rng.below(LOOKS_FOR_NEW) > 0;
        if are_all && let Some(node) = self.one_of(&known) {
            return Some(node);
        }
        let near = self.look_at(start, NEAR, 1);
        if let Some(node) = near.fitting.first() {
            self.tables.rare.note(kind, node.slot());
            return Some(node);
        }
        if walked && let Some(node) = self.one_of(&known) {
            return Some(node);
        }
        let far = self.look_at(start + NEAR, count - NEAR, MOST);
        self.hopeless |= !near.almost && !far.almost;
        if !far.fitting.is_empty() {
            self.tables.rare.note_walk(kind, far.fitting.iter().map(|node| node.slot()));
        }
        far.fitting.first().copied()
    }

    /// One of the nodes that earlier scans have found for such a query, if any still belongs to the view and fits.
    fn one_of(&mut self, known: &[u32]) -> Option<&'s Arc<Node<D>>> {
        let first = self.rng.below(known.len().max(1));
        let mut nodes = known.iter().cycle().skip(first).take(known.len()).filter_map(|slot| self.at(*slot));
        nodes.find(|node| self.belongs(node))
    }

    /// Looks at `most` members from an index on, until `enough` fit.
    fn look_at(&self, start: usize, most: usize, enough: usize) -> Scanned<'s, D> {
        let (count, mut fitting, mut almost) = (self.view.len(), SmallVec::new(), false);
        for index in (0..most).map(|step| (start + step) % count) {
            let node = self.view.members.get(index).and_then(|slot| self.snapshot.node_at(*slot));
            let Some(node) = node.filter(|node| self.fits_but_now(node)) else { continue };
            almost = true;
            if self.is_free(node) {
                fitting.push(node);
                if fitting.len() >= enough {
                    break;
                }
            }
        }
        Scanned { fitting, almost }
    }

    /// The first fitting node among the `most` from an index on that is also `wanted`.
    pub(super) fn scan_near(
        &self,
        start: usize,
        most: usize,
        wanted: impl Fn(&&'s Arc<Node<D>>) -> bool,
    ) -> Option<&'s Arc<Node<D>>> {
        let count = self.view.len();
        (0..count.min(most)).find_map(|i| self.member((start + i) % count).filter(&wanted))
    }

    /// The member at an index, if it fits.
    pub(super) fn member(&self, index: usize) -> Option<&'s Arc<Node<D>>> {
        self.at(*self.view.members.get(index)?)
    }

    pub(super) fn at(&self, slot: u32) -> Option<&'s Arc<Node<D>>> {
        self.snapshot.node_at(slot).filter(|node| self.fits(node))
    }
}
