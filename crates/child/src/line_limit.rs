//! Bounds how many lines of a child's log are written in a while.

use std::time::{Duration, Instant};

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);
/// How many lines are written in a window.
const MOST: u32 = 30;

/// Admits 30 lines a minute, and counts the others.
#[derive(Debug)]
pub struct LineLimit {
    began: Instant,
    lines: u32,
    left_out: u64,
}

impl LineLimit {
    /// A limit whose first window begins at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { began: now, lines: 0, left_out: 0 }
    }

    /// Whether one more line is written: `None` leaves it out, `Some` writes it and says how many lines were left out in the window before.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        let mut left_out = 0;
        if now.duration_since(self.began) >= WINDOW {
            left_out = self.left_out;
            *self = Self::new(now);
        }
        if self.lines >= MOST {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_are_written_in_a_while_and_the_others_are_counted() {
        let now = Instant::now();
        let mut limit = LineLimit::new(now);
        assert_eq!((0..100).filter_map(|_| limit.admit(now)).sum::<u64>(), 0);
        assert_eq!(limit.admit(now), None);
        assert_eq!(limit.admit(now + WINDOW), Some(71));
        assert_eq!(limit.admit(now + WINDOW), Some(0));
    }
}
