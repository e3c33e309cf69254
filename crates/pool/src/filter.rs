//! Which nodes a listener uses: an expression over what a node is, a ceiling of latency, the fastest few.

use std::{collections::BTreeSet, time::Duration};

use thiserror::Error;

use crate::{Country, Node, SourceName};

/// What a node must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// Its exit is in one of these countries.
    Country(Vec<Country>),
    /// One of these sources lists it.
    Source(Vec<SourceName>),
    /// Its links have one of these schemes.
    Scheme(Vec<Box<str>>),
    /// Its label contains this text, which is in lower case.
    Label(Box<str>),
    /// It takes any certificate.
    Insecure,
    /// Not that.
    Not(Box<Self>),
    /// All of them; true of none.
    All(Vec<Self>),
    /// One of them; false of none.
    Any(Vec<Self>),
}

impl Term {
    /// Whether it is true of a node.
    pub fn fits<D>(&self, node: &Node<D>) -> bool {
        match self {
            Self::Country(countries) => node.country().is_some_and(|country| countries.contains(&country)),
            Self::Source(sources) => node.listed_by_any(sources),
            Self::Scheme(schemes) => schemes.iter().any(|scheme| **scheme == *node.spec().scheme()),
            Self::Label(text) => node.label().as_str().to_lowercase().contains(&**text),
            Self::Insecure => node.insecure(),
            Self::Not(term) => !term.fits(node),
            Self::All(terms) => terms.iter().all(|term| term.fits(node)),
            Self::Any(terms) => terms.iter().any(|term| term.fits(node)),
        }
    }
}

/// The nodes of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What they are.
    pub term: Term,
    /// The longest smoothed latency. A node that was never measured does not pass.
    pub max_latency: Option<Duration>,
    /// Only so many, the fastest ones.
    pub top: Option<usize>,
}

impl Filter {
    pub(crate) fn fits<D>(&self, node: &Node<D>) -> bool {
        self.max_latency.is_none_or(|most| node.latency().is_some_and(|latency| latency <= most))
            && self.term.fits(node)
    }
}

/// A filter that the pool keeps views for, for [`Query::filter`](crate::Query::filter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilterId(pub(crate) u16);

/// The pool keeps views for so many filters only: every one costs something at every change of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a pool has at most {} filters", Self::MOST)]
pub struct TooManyFilters;

impl TooManyFilters {
    /// The most filters of a pool.
    pub const MOST: usize = 16;
}

/// A filter with the race for its first places.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) filter: Filter,
    /// By weighed latency, then slot: the fastest ones, as many as the filter lets through …
    inside: BTreeSet<(u32, u32)>,
    /// … and all others that fit.
    outside: BTreeSet<(u32, u32)>,
}

impl Gate {
    pub(crate) const fn new(filter: Filter) -> Self {
        Self { filter, inside: BTreeSet::new(), outside: BTreeSet::new() }
    }

    /// Takes a node out of the race.
    pub(crate) fn withdraw(&mut self, latency: u32, slot: u32, shifted: &mut Vec<u32>) {
        if !self.inside.remove(&(latency, slot)) {
            self.outside.remove(&(latency, slot));
        }
        self.settle(shifted);
    }

    /// Lets a node into the race and says whether it gets through; the slots of others that get through, or no
    /// longer do, are added to `shifted`.
    pub(crate) fn enter(&mut self, latency: u32, slot: u32, shifted: &mut Vec<u32>) -> bool {
        if self.filter.top.is_none() {
            return true;
        }
        if !self.inside.contains(&(latency, slot)) {
            self.outside.insert((latency, slot));
        }
        self.settle(shifted);
        self.inside.contains(&(latency, slot))
    }

    fn settle(&mut self, shifted: &mut Vec<u32>) {
        let Some(top) = self.filter.top else { return };
        while self.inside.len() < top
            && let Some(next) = self.outside.pop_first()
        {
            shifted.push(next.1);
            self.inside.insert(next);
        }
        while let (Some(worst), Some(best)) = (self.inside.last().copied(), self.outside.first().copied())
            && best < worst
        {
            self.inside.remove(&worst);
            self.outside.remove(&best);
            self.inside.insert(best);
            self.outside.insert(worst);
            shifted.extend([worst.1, best.1]);
        }
    }
}
