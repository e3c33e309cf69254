//! The time of this process: one wall-clock reading at start plus a monotonic clock.

use std::time::{Duration, SystemTime};

use hezar_core::Timestamp;
use tokio::time::Instant;

/// Tells the time without ever running backwards, whatever happens to the system's clock. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Duration,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock once; from here on only the monotonic clock counts.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall, started: Instant::now() }
    }

    /// A clock that shows `now` at this moment; for tests.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        Self { wall: Duration::from_millis(now.0), started: Instant::now() }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.wall.saturating_add(self.started.elapsed()).as_millis()).unwrap_or(u64::MAX))
    }
}
