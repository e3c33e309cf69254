//! The thresholds of the pool: when a node is dead or forgotten, and how many nodes there may be.

use std::time::Duration;

/// The thresholds of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row after which a node is dead; at least 1. The last of them must be a probe's: traffic alone
    /// makes a node suspect, never dead, because only a probe knows whether our own uplink is the culprit.
    pub dead_after: u32,
    /// A node that no source lists is dropped after being dead (or never usable) for so long.
    pub forget_after: Duration,
    /// A node that never worked and that no source lists is dropped after so long, if that is sooner: a list that
    /// changes all the time must not fill the pool.
    pub forget_unused_after: Duration,
    /// How many nodes there may be.
    pub bounds: Bounds,
    /// Whether nodes that take any certificate are used; else they count as unsupported, with the code
    /// [`INSECURE`](crate::INSECURE).
    pub allow_insecure: bool,
    /// How quickly old measurements lose weight: after this time a measurement counts 37 % (1/e) of what it did.
    pub memory: Duration,
    /// Pinned sessions kept; beyond it the least recently used ones are forgotten.
    pub sessions: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            dead_after: 3,
            forget_after: Duration::from_secs(72 * 3600),
            forget_unused_after: Duration::from_secs(60),
            bounds: Bounds::default(),
            allow_insecure: true,
            memory: Duration::from_secs(300),
            sessions: 65_536,
        }
    }
}

/// How many nodes there may be. Lists come from strangers: without bounds one of them fills memory and disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In all.
    pub total: usize,
    /// Listed by one source.
    pub per_source: usize,
    /// On one server host. It is generous, because thousands of nodes may stand behind one address of a content
    /// network; that a host is not probed too fast is the prober's matter. Loopback hosts are exempt.
    pub per_server: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: 1_000_000, per_source: 100_000, per_server: 10_000 }
    }
}

/// Nodes of a list that were not taken in, by the bound that stood against them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Their source lists too many.
    pub source: usize,
    /// Their server has too many.
    pub server: usize,
    /// The pool is full of nodes that are worth more.
    pub pool: usize,
}

impl LeftOut {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.source + self.server + self.pool
    }
}
