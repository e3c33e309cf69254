//! Who lives, by what the store says at each beat.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hezar_store::{GONE_AFTER, MemberRow};
use tokio::time::Instant;

/// The members that live. While nobody reaches the store, all of them look dead when it is back: for as long as it takes to notice that
/// one is gone, those stay that lived before.
#[derive(Debug, Default)]
pub(super) struct Roster {
    living: BTreeSet<Arc<str>>,
    /// When the store was reached last.
    last: Option<Instant>,
    /// Since when it has been reached again after it was away.
    back_since: Option<Instant>,
}

impl Roster {
    /// Takes in what the store says now, and returns who lives.
    pub(super) fn note(&mut self, rows: &[MemberRow], now: Instant) -> &BTreeSet<Arc<str>> {
        if self.last.is_some_and(|last| now.duration_since(last) > GONE_AFTER) {
            self.back_since = Some(now);
        }
        self.last = Some(now);
        let is_forbearing = self.back_since.is_some_and(|since| now.duration_since(since) < GONE_AFTER);
        let before = std::mem::take(&mut self.living);
        let lives = |row: &&MemberRow| row.age <= GONE_AFTER || (is_forbearing && before.contains(&row.beat.name));
        self.living = rows.iter().filter(lives).map(|row| Arc::clone(&row.beat.name)).collect();
        &self.living
    }

    /// For how long the store has not been reached; `None` when it never was.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        self.last.map(|last| now.duration_since(last))
    }
}
