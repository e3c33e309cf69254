//! Remembers the targets that some node has reached lately: a node that reports such a target as unreachable is not believed
//! at once.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hezar_core::{TargetKey, Timestamp};

/// How many targets are remembered; of two with the same slot the newer one is.
const SLOTS: u64 = 1024;
/// How long.
const MEMORY: Duration = Duration::from_secs(30);

/// In each slot one target: the upper half of its key, and the second in which it was reached.
#[derive(Debug)]
pub(crate) struct RecentTargets(Vec<AtomicU64>);

impl Default for RecentTargets {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl RecentTargets {
    /// The target with this key has answered.
    pub(crate) fn record(&self, key: TargetKey, now: Timestamp) {
        let entry = (key_half(key) << 32) | second(now);
        // Mostly the entry is there already: the requests to one target then do not contend for the slot.
        if let Some(slot) = self.slot(key).filter(|slot| slot.load(Ordering::Relaxed) != entry) {
            slot.store(entry, Ordering::Relaxed);
        }
    }

    /// Whether it has answered lately.
    pub(crate) fn contains(&self, key: TargetKey, now: Timestamp) -> bool {
        let entry = self.slot(key).map_or(0, |slot| slot.load(Ordering::Relaxed));
        let age = second(now).saturating_sub(entry & u64::from(u32::MAX));
        entry >> 32 == key_half(key) && Duration::from_secs(age) <= MEMORY
    }

    fn slot(&self, key: TargetKey) -> Option<&AtomicU64> {
        self.0.get(usize::try_from(key.0 % SLOTS).ok()?)
    }
}

/// Never 0, which an empty slot has.
const fn key_half(key: TargetKey) -> u64 {
    (key.0 >> 32) | 1
}

/// Enough for the year 2106.
const fn second(now: Timestamp) -> u64 {
    (now.0 / 1000) & u32::MAX as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_and_the_newest_of_a_place() {
        let (targets, start) = (RecentTargets::default(), Timestamp(1_800_000_000_000));
        let key = |number: u64| TargetKey(number << 40 | 7);
        assert!(!targets.contains(key(1), start));
        targets.record(key(1), start);
        assert!(targets.contains(key(1), start.after(MEMORY)));
        assert!(!targets.contains(key(1), start.after(MEMORY + Duration::from_secs(1))));
        assert!(!targets.contains(key(2), start));
        targets.record(key(2), start);
        assert!(targets.contains(key(2), start) && !targets.contains(key(1), start));
    }
}
