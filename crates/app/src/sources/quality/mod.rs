//! What each source is worth: how long its nodes live, and whether anything in it works at all.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hezar_core::{NodeId, Timestamp};
use hezar_pool::State;
use hezar_store::SourceRow;

use super::status::SourceTable;
use crate::nodes::Nodes;

/// Good fetches in a row without a single working node after which a source is fetched rarely.
const UNPRODUCTIVE_AFTER: u32 = 3;
/// How much longer the pauses of such a source are, …
const BACKOFF_FACTOR: u32 = 12;
/// … and the longest of them.
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_secs(7 * 86_400);
/// After this time what was watched counts 37 % (1/e) of what it did.
const MEMORY: Duration = Duration::from_secs(7 * 86_400);
/// With fewer deaths a half-life is a guess.
const ENOUGH: u32 = 3_000;

/// The time after which half of a source's working nodes have died, when enough of them have.
pub(crate) fn half_life(row: &SourceRow) -> Option<Duration> {
    if row.deaths_milli < ENOUGH {
        return None;
    }
    let deaths = f64::from(row.deaths_milli) / 1000.0;
    Duration::try_from_secs_f64(row.lived.as_secs_f64() * std::f64::consts::LN_2 / deaths).ok()
}

/// Whether a source has given nothing that works for so long that it is fetched rarely.
pub(crate) const fn is_unproductive(row: &SourceRow) -> bool {
    row.barren >= UNPRODUCTIVE_AFTER
}

/// The next fetch of a source that has given nothing; `None` when it is fetched as it says.
pub(crate) fn backoff(row: &SourceRow, now: Timestamp) -> Option<Timestamp> {
    let next = row.next_fetch.filter(|_| is_unproductive(row))?;
    Some(now.after(next.since(now).saturating_mul(BACKOFF_FACTOR).min(LONGEST_BACKOFF)))
}

/// Notes after a good fetch whether anything that the source listed works; nodes that nobody has judged yet do not count.
pub(crate) fn note_productivity(row: &mut SourceRow, pool: &Nodes) {
    let (mut judged, mut works) = (row.nodes == 0, false);
    for node in pool.snapshot().nodes().filter(|node| node.listed_by(&row.name)) {
        works |= node.routable();
        judged |= node.state() != State::New || node.unsupported().is_some();
    }
    match (works, judged) {
        (true, _) => row.barren = 0,
        (false, true) => row.barren = row.barren.saturating_add(1),
        (false, false) => {}
    }
}

/// The watch over lives and deaths.
#[derive(Debug, Default)]
pub(crate) struct QualityTracker {
    alive: HashSet<NodeId>,
    /// Lives in seconds and deaths by source.
    sums: HashMap<Arc<str>, (f64, f64)>,
}

impl QualityTracker {
    pub(crate) fn new(pool: &Nodes) -> Self {
        Self { alive: pool.snapshot().routable().map(|node| node.id()).collect(), sums: HashMap::new() }
    }

    /// Counts the `elapsed` time for every node that lives, and the deaths in it.
    pub(crate) fn watch(&mut self, pool: &Nodes, table: &SourceTable, elapsed: Duration) {
        let fade = (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        for name in table.names() {
            let row = table.row(&name);
            let known =
                || row.map_or((0.0, 0.0), |row| (row.lived.as_secs_f64(), f64::from(row.deaths_milli) / 1000.0));
            let (lived, deaths) = self.sums.entry(name).or_insert_with(known);
            (*lived, *deaths) = (*lived * fade, *deaths * fade);
        }
        let mut alive = HashSet::with_capacity(self.alive.len());
        for node in pool.snapshot().routable() {
            alive.insert(node.id());
            for listing in node.sources() {
                if let Some((lived, _)) = self.sums.get_mut(&listing.source) {
                    *lived += elapsed.as_secs_f64();
                }
            }
        }
        for node in self.alive.difference(&alive).filter_map(|id| pool.node(*id)) {
            for listing in node.sources() {
                if let Some((_, deaths)) = self.sums.get_mut(&listing.source) {
                    *deaths += 1.0;
                }
            }
        }
        self.alive = alive;
        for name in self.sums.keys() {
            table.amend(name, |row| self.put_into(row));
        }
    }

    /// Puts what has been watched so far into the row of a source.
    pub(crate) fn put_into(&self, row: &mut SourceRow) {
        let Some((lived, deaths)) = self.sums.get(&row.name) else { return };
        row.lived = Duration::try_from_secs_f64(*lived).unwrap_or_default();
        // Casts of floats saturate.
        row.deaths_milli = (*deaths * 1000.0).round() as u32;
    }
}

#[cfg(test)]
mod tests;
