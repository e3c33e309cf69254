//! The time of this process: a monotonic clock that follows the wall clock forwards and never runs backwards.
//!
//! ```text
//!   wall clock steps forwards (suspend, a machine without a clock that learns the time): now() steps with it
//!   wall clock steps backwards: now() runs on evenly, ahead of it; wall() and shown() say what the wall clock says
//! ```

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use hezar_core::Timestamp;
use tokio::time::Instant;

/// A difference between the wall clock and ours that is a step and not the slow correction of NTP.
const STEP: Duration = Duration::from_secs(2);

/// Tells the time without ever running backwards, whatever happens to the system's clock. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: &'static Anchor,
}

/// What all copies of a clock share.
struct Anchor {
    started: Instant,
    /// Our time at `started`, in ms since the Unix epoch. It only grows.
    offset: AtomicU64,
    /// Reads the wall clock; absent in tests that move time by hand.
    wall: Option<Box<dyn Fn() -> Timestamp + Send + Sync>>,
}

impl Clock {
    /// A clock that follows the system's. It is kept until the process ends: one per process.
    #[must_use]
    pub fn start() -> Self {
        Self::following(system_time)
    }

    /// A clock that follows the system's with so many milliseconds added, which may change: several machines then follow one clock.
    #[must_use]
    pub fn start_corrected(correction_ms: Arc<AtomicI64>) -> Self {
        Self::following(move || Timestamp(system_time().0.saturating_add_signed(correction_ms.load(Relaxed))))
    }

    /// A clock that follows another wall clock; for tests.
    #[must_use]
    pub fn following(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self::anchored(wall(), Some(Box::new(wall)))
    }

    /// A clock that shows `now` at this moment and follows nothing; for tests.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        Self::anchored(now, None)
    }

    fn anchored(now: Timestamp, wall: Option<Box<dyn Fn() -> Timestamp + Send + Sync>>) -> Self {
        let anchor = Anchor { started: Instant::now(), offset: AtomicU64::new(now.0), wall };
        // Leaked on purpose: a clock is copied everywhere and lives as long as the process.
        Self { anchor: Box::leak(Box::new(anchor)) }
    }

    /// The time now. It never runs backwards.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = self.anchor.elapsed();
        let even = self.anchor.offset.load(Relaxed).saturating_add(elapsed);
        let wall = self.anchor.wall.as_ref().map_or(even, |wall| wall().0);
        if wall.saturating_sub(even) <= STEP.as_millis() as u64 {
            return Timestamp(even);
        }
        let offset = wall.saturating_sub(elapsed);
        let before = self.anchor.offset.fetch_max(offset, Relaxed);
        Timestamp(before.max(offset).saturating_add(elapsed))
    }

    /// What the wall clock says: for dates that people and servers read. It may run backwards.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.anchor.wall.as_ref().map_or_else(|| self.now(), |wall| wall())
    }

    /// A time of this clock as the wall clock shows it: the same, unless the wall clock has been set back since the start.
    #[must_use]
    pub fn shown(&self, time: Timestamp) -> Timestamp {
        let ahead = self.now().since(self.wall());
        if ahead <= STEP { time } else { Timestamp(time.0.saturating_sub(ahead.as_millis() as u64)) }
    }
}

fn system_time() -> Timestamp {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
}

impl Anchor {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor").field("started", &self.started).field("offset", &self.offset).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
