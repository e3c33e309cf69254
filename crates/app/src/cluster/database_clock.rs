//! The clock of a process that shares a store with others: it follows the database's, so that times of different machines can be compared.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_store::{SharedStore, StoreError};
use tokio::time::Instant;

/// A smaller difference is that of a reading.
const NOISE_MS: i64 = 100;

/// What the system's clock lacks to the database's. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct DatabaseClock {
    correction_ms: Arc<AtomicI64>,
}

impl DatabaseClock {
    /// A clock of this process that follows the database's.
    pub(crate) fn clock(&self) -> Clock {
        Clock::start_corrected(Arc::clone(&self.correction_ms))
    }

    /// Reads the database's clock. `clock` is one of [`DatabaseClock::clock`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn learn(&self, shared: &dyn SharedStore, clock: Clock) -> Result<(), StoreError> {
        let asked = Instant::now();
        let read = shared.clock().await?;
        self.note(read, asked.elapsed(), clock.wall());
        Ok(())
    }

    /// Takes in that the database's clock said `read` at some moment of the last `took`; `wall` is what the corrected clock says now.
    fn note(&self, read: Timestamp, took: Duration, wall: Timestamp) {
        let half = took / 2;
        let missing = signed(read.after(half)) - signed(wall);
        // The database may have answered at the beginning of that time or at its end.
        let noise = i64::try_from(half.as_millis()).unwrap_or(i64::MAX).max(NOISE_MS);
        if missing.abs() <= noise {
            return;
        }
        let correction = self.correction_ms.fetch_add(missing, Relaxed) + missing;
        tracing::info!(
            correction_ms = correction,
            "the clock of this machine differs from the database's, which counts"
        );
    }
}

fn signed(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_minutes_off_is_corrected_and_noise_is_not() {
        let database = DatabaseClock::default();
        let now = Clock::start().wall();
        let (took, ahead) = (Duration::from_millis(40), Duration::from_secs(300));
        database.note(now.after(ahead), took, now);
        let corrected = database.clock().wall();
        let expected = now.after(ahead).after(took / 2);
        assert!(corrected >= expected && corrected.since(expected) < Duration::from_secs(60), "{corrected:?}");
        let correction = database.correction_ms.load(Relaxed);
        database.note(expected.after(Duration::from_millis(50)), Duration::ZERO, expected);
        database.note(expected, Duration::from_secs(5), expected);
        assert_eq!(database.correction_ms.load(Relaxed), correction, "noise, and a reading that took long");
        let slow = DatabaseClock::default();
        slow.note(now.after(ahead), Duration::from_secs(5), now);
        assert_eq!(
            slow.correction_ms.load(Relaxed),
            302_500,
            "what is more than that counts, however slow the database is"
        );
        database.note(now, Duration::ZERO, expected);
        assert_eq!(database.correction_ms.load(Relaxed), 0, "it may go back as well");
    }
}
