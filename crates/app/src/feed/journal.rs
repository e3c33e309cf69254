//! The nodes that have changed lately, numbered, so that a reader who names the last number gets what came after it.

use std::collections::{HashSet, VecDeque};

use hezar_core::NodeId;

/// How many changes are kept; a reader that lags further behind reads everything anew.
const MOST: usize = 65_536;

/// The last changes.
#[derive(Debug)]
pub(super) struct Journal {
    /// Tells the numbers of this journal from those of others.
    epoch: u64,
    /// The number of the last change.
    last: u64,
    ids: VecDeque<NodeId>,
}

impl Journal {
    pub(super) const fn new(epoch: u64) -> Self {
        Self { epoch, last: 0, ids: VecDeque::new() }
    }

    /// Where a reader goes on who knows everything up to now.
    pub(super) fn cursor(&self) -> String {
        format!("{:x}-{}", self.epoch, self.last)
    }

    pub(super) fn push(&mut self, ids: impl IntoIterator<Item = NodeId>) {
        for id in ids {
            if self.ids.len() == MOST {
                self.ids.pop_front();
            }
            self.ids.push_back(id);
            self.last += 1;
        }
    }

    /// Whether a reader with this cursor knows everything up to now.
    pub(super) fn is_current(&self, cursor: &str) -> bool {
        self.number(cursor) == Some(self.last)
    }

    /// What has changed since a cursor, each node once; `None` when that is not known any more.
    pub(super) fn since(&self, cursor: &str) -> Option<Vec<NodeId>> {
        let missed =
            usize::try_from(self.last - self.number(cursor)?).ok().filter(|missed| *missed <= self.ids.len())?;
        let mut seen = HashSet::new();
        Some(self.ids.iter().skip(self.ids.len() - missed).copied().filter(|id| seen.insert(*id)).collect())
    }

    /// The number in a cursor of this journal.
    fn number(&self, cursor: &str) -> Option<u64> {
        let (epoch, number) = cursor.split_once('-')?;
        let is_own = u64::from_str_radix(epoch, 16).ok()? == self.epoch;
        number.parse().ok().filter(|number| is_own && *number <= self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> NodeId {
        NodeId::from_bytes((u128::from(n) << 64 | u128::from(n)).to_be_bytes())
    }

    #[test]
    fn a_reader_gets_what_came_after_its_cursor_or_hears_that_it_is_gone() {
        let mut journal = Journal::new(0xab);
        let before = journal.cursor();
        assert!(journal.is_current(&before));
        journal.push([id(1), id(2), id(1)]);
        assert!(!journal.is_current(&before));
        assert_eq!(journal.since(&before), Some(vec![id(1), id(2)]));
        assert_eq!(journal.since("ab-2"), Some(vec![id(1)]));
        assert_eq!(journal.since(&journal.cursor()), Some(vec![]));
        for foreign in ["", "ab", "ab-", "ab-4", "ac-1", "-1", "ab--1", "ab-99999999999999999999"] {
            assert_eq!(journal.since(foreign), None, "{foreign}");
            assert!(!journal.is_current(foreign), "{foreign}");
        }
        journal.push((0..MOST as u64).map(id));
        assert_eq!(journal.since("ab-2"), None);
        assert_eq!(journal.since("ab-3").map(|ids| ids.len()), Some(MOST));
    }
}
