//! Which nodes a listener uses: an expression over what a node is, a ceiling of latency, the fastest few.

use std::time::Duration;

use thiserror::Error;

use crate::{Anonymity, Country, Node, SourceName};

/// What a node must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// Its exit is in one of these countries.
    Country(Vec<Country>),
    /// One of these sources lists it.
    Source(Vec<SourceName>),
    /// Its links have one of these schemes.
    Scheme(Vec<Box<str>>),
    /// An operator has given it this tag.
    Tag(Box<str>),
    /// Its label contains this text, which is in lower case.
    Label(Box<str>),
    /// It takes any certificate.
    Insecure,
    /// It gives away just as much to the targets of plain requests; `None` = that is not known.
    Anonymity(Option<Anonymity>),
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
            Self::Tag(tag) => node.has_tag(tag),
            Self::Label(text) => node.label().as_str().to_lowercase().contains(&**text),
            Self::Insecure => node.insecure(),
            Self::Anonymity(level) => node.anonymity() == *level,
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
    /// Whether it lets a node through; [`Filter::top`] is a matter of all nodes and not looked at.
    pub fn fits<D>(&self, node: &Node<D>) -> bool {
        self.max_latency.is_none_or(|most| node.latency().is_some_and(|latency| latency <= most))
            && self.term.fits(node)
    }
}

/// A filter that the pool keeps views for, for [`Query::filter`](crate::Query::filter). No other filter of the pool ever has
/// the same id, also after it has been removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilterId(pub(crate) u32);

/// The pool keeps views for so many filters only: every one costs something at every change of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a pool has at most {} filters", Self::MOST)]
pub struct TooManyFilters;

impl TooManyFilters {
    /// The most filters of a pool.
    pub const MOST: usize = 128;
}
