//! How fast a tunnel moves bytes while it is busy.

use std::time::Duration;

use tokio::time::Instant;

/// A pause after which a transfer begins anew: what was not asked for says nothing about the node's speed.
const PAUSE: Duration = Duration::from_millis(500);
/// How much has to move in one go, and for how long at least, before the speed is told: less fits into buffers.
const ENOUGH_BYTES: u64 = 512 * 1024;
const ENOUGH_TIME: Duration = Duration::from_millis(200);

/// The busy span that a tunnel is in.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    /// When it began, and when the last bytes of it moved.
    span: Option<(Instant, Instant)>,
    bytes: u64,
}

impl Transfer {
    /// Bytes have moved, both ways together. Gives the speed in bytes a second when the span is long enough, and begins a
    /// new one.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) -> Option<f32> {
        let busy = self.span.filter(|(_, last)| now.saturating_duration_since(*last) < PAUSE);
        let Some((began, _)) = busy else {
            // The bytes that open a span have waited for an unknown time.
            (self.span, self.bytes) = (Some((now, now)), 0);
            return None;
        };
        self.span = Some((began, now));
        self.bytes = self.bytes.saturating_add(bytes);
        let took = now.saturating_duration_since(began);
        if self.bytes < ENOUGH_BYTES || took < ENOUGH_TIME {
            return None;
        }
        let speed = self.bytes as f32 / took.as_secs_f32();
        (self.span, self.bytes) = (Some((now, now)), 0);
        Some(speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves so many bytes every 50 ms; gives the speeds that were told.
    fn speeds(bytes: u64, turns: u64, pause_every: u64) -> Vec<f32> {
        let (mut transfer, mut now, mut told) = (Transfer::default(), Instant::now(), Vec::new());
        for turn in 1..=turns {
            let pause = if turn % pause_every == 0 { PAUSE } else { Duration::from_millis(50) };
            now += pause;
            told.extend(transfer.add(bytes, now));
        }
        told
    }

    #[test]
    fn a_busy_tunnel_tells_its_speed() {
        let told = speeds(50_000, 100, u64::MAX);
        assert!(told.len() >= 8, "{told:?}");
        assert!(told.iter().all(|speed| (0.95e6..1.05e6).contains(speed)), "{told:?}");
    }

    #[test]
    fn pauses_and_small_transfers_say_nothing() {
        assert!(speeds(1_000, 100, u64::MAX).is_empty(), "less than enough in all");
        assert!(speeds(50_000, 100, 5).is_empty(), "never enough in one go");
    }
}
