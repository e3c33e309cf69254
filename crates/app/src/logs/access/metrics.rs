//! How the access log goes: what was written, and what was dropped because the disk was too slow or full.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// How often the program's log repeats that lines are dropped.
const REMIND: Duration = Duration::from_secs(60);

/// The numbers of an access log; they go on when its settings change.
#[derive(Debug, Default)]
pub(super) struct AccessLogMetrics {
    lines: Counter,
    bytes: Counter,
    dropped: Counter,
    /// Dropped lines that the program's log has told of.
    told: AtomicU64,
    warned: Mutex<Option<Instant>>,
}

impl AccessLogMetrics {
    pub(super) fn note_written(&self, lines: u64, bytes: u64) {
        self.lines.inc_by(lines);
        self.bytes.inc_by(bytes);
    }

    /// Counts lines that are lost, and warns once a minute.
    pub(super) fn note_dropped(&self, lines: u64, reason: impl fmt::Display) {
        let dropped = self.dropped.inc_by(lines) + lines;
        // Whoever finds somebody else at it has nothing to add.
        let Some(mut warned) = self.warned.try_lock() else { return };
        if warned.is_some_and(|at| at.elapsed() < REMIND) {
            return;
        }
        *warned = Some(Instant::now());
        let lines = dropped - self.told.swap(dropped, Relaxed).min(dropped);
        tracing::warn!(lines, dropped, %reason, "lines of the access log are dropped; requests go on");
    }

    /// All lines that were lost since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    #[cfg(test)]
    pub(super) fn lines(&self) -> u64 {
        self.lines.get()
    }

    pub(super) fn register(self: &Arc<Self>, registry: &mut Registry) {
        for (name, help, counter) in [
            ("hezar_access_log_lines", "Lines written to the access log", &self.lines),
            ("hezar_access_log_bytes", "Bytes written to the access log, before compression", &self.bytes),
            (
                "hezar_access_log_dropped",
                "Lines of the access log that a slow or full disk did not take",
                &self.dropped,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}
