//! Which node which site does not like: evidence per pair, bounded, forgotten with time, read without a lock.
//!
//! ```text
//!   bucket of (site, node)   [ tag:32 | until:28 | level:4 ] × 4      one word per pair; `until` in 16 s
//!   level 1: noted for 10 min   2: avoided 5 min   3: 20 min   4: 80 min   5: 6 h      a success clears the word
//! ```

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use hezar_core::{NodeId, SiteKey, Timestamp};

use crate::{hash::mix, site_bans::SiteBans};

/// Buckets; a power of two. With four words each the table takes 512 KiB and knows 65,536 pairs.
const BUCKETS: usize = 16_384;
const WAYS: usize = 4;
/// Milliseconds of one tick.
const TICK: u64 = 16_000;
const TICKS: u64 = (1 << 28) - 1;
/// From this level on a node is avoided.
const AVOIDED: u64 = 2;
const HIGHEST: u64 = 5;
/// How long each level lasts, in ticks.
const LASTS: [u64; 6] = [0, 38, 19, 75, 300, 1350];
/// A pair that comes back within this time after its end goes on where it was: an hour.
const REMEMBERED: u64 = 225;

/// What somebody saw of a node at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteVerdict {
    /// The site served it.
    Works,
    /// It failed there while another node served the same; once may be chance.
    Fails,
    /// The site refuses it; said by somebody who has read the answer.
    Blocked,
}

/// What speaks against a node at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteEvidence {
    /// How often it has failed there in a row, 1 to 5.
    pub level: u8,
    /// Whether the site is spared the node now.
    pub avoided: bool,
    /// When this is forgotten.
    pub until: Timestamp,
}

/// The table.
#[derive(Debug)]
pub(crate) struct SiteTable {
    words: Box<[AtomicU64]>,
    /// The newest time that any writer came with: picking has no clock.
    now: AtomicU32,
    /// Words that were ever written; while it is 0 nobody needs to look.
    used: AtomicU32,
    /// What somebody has said for certain.
    pub(crate) bans: SiteBans,
}

impl SiteTable {
    pub(crate) fn new() -> Self {
        let words = (0..BUCKETS * WAYS).map(|_| AtomicU64::new(0)).collect();
        Self { words, now: AtomicU32::new(0), used: AtomicU32::new(0), bans: SiteBans::default() }
    }

    /// Moves the clock on.
    pub(crate) fn advance(&self, now: Timestamp) {
        let now = ticks(now) as u32;
        if self.now.load(Relaxed) < now {
            self.now.fetch_max(now, Relaxed);
        }
    }

    /// Whether the site is to be spared the node.
    pub(crate) fn avoids(&self, site: SiteKey, node: NodeId) -> bool {
        if self.used.load(Relaxed) == 0 {
            return false;
        }
        let (bucket, tag) = self.bucket(site, node);
        let now = u64::from(self.now.load(Relaxed));
        let word = bucket.iter().map(|word| word.load(Acquire)).find(|word| word >> 32 == tag && *word != 0);
        word.is_some_and(|word| level_of(word) >= AVOIDED && until_of(word) > now)
    }

    /// What speaks against a node at a site and is not forgotten yet.
    pub(crate) fn evidence(&self, site: SiteKey, node: NodeId) -> Option<SiteEvidence> {
        let (bucket, tag) = self.bucket(site, node);
        let word = bucket.iter().map(|word| word.load(Acquire)).find(|word| word >> 32 == tag && *word != 0)?;
        let (level, until) = (level_of(word), until_of(word));
        let known = until > u64::from(self.now.load(Relaxed));
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        known.then(|| SiteEvidence { level, avoided: u64::from(level) >= AVOIDED, until: Timestamp(until * TICK) })
    }

    /// Takes in what was seen.
    pub(crate) fn note(&self, site: SiteKey, node: NodeId, verdict: SiteVerdict, now: Timestamp) {
        self.advance(now);
        let (bucket, tag) = self.bucket(site, node);
        let now = ticks(now);
        let known = bucket.iter().find(|word| word.load(Acquire) >> 32 == tag);
        if verdict == SiteVerdict::Works {
            if let Some(word) = known {
                word.store(0, Release);
            }
            return;
        }
        // Two writers at once may lose one of two remarks: the next one will say it again.
        let place = known.or_else(|| bucket.iter().min_by_key(|word| until_of(word.load(Acquire))));
        let Some(place) = place else { return };
        let old = place.load(Acquire);
        let fresh = old >> 32 == tag && until_of(old) + REMEMBERED > now;
        let level = if fresh { (level_of(old) + 1).min(HIGHEST) } else { 1 };
        let level = if verdict == SiteVerdict::Blocked { level.max(AVOIDED) } else { level };
        let lasts = LASTS.get(level as usize).copied().unwrap_or_default();
        place.store((tag << 32) | ((now + lasts).min(TICKS) << 4) | level, Release);
        self.used.store(1, Relaxed);
    }

    fn bucket(&self, site: SiteKey, node: NodeId) -> (&[AtomicU64], u64) {
        let [.., a, b, c, d, e, f, g, h] = *node.as_bytes();
        let hash = mix(site.0 ^ u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let start = (hash as usize % BUCKETS) * WAYS;
        // A tag of 0 would look like an empty word.
        (self.words.get(start..start + WAYS).unwrap_or_default(), (hash >> 32).max(1))
    }
}

const fn ticks(time: Timestamp) -> u64 {
    let ticks = time.0 / TICK;
    if ticks < TICKS { ticks } else { TICKS }
}

const fn until_of(word: u64) -> u64 {
    (word >> 4) & TICKS
}

const fn level_of(word: u64) -> u64 {
    word & 15
}
