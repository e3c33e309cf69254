//! How the time of one request is shared among its attempts.

use std::time::Duration;

/// Below this an attempt says nothing about the node: a handshake over two continents may take as long.
pub(super) const FAIR: Duration = Duration::from_secs(2);

/// The time that the next attempt may take: half of what remains, so that a mute node does not eat everything, but at
/// least [`FAIR`] and at most `longest`. The last attempt gets all that remains.
pub(super) fn share(remaining: Duration, attempts_left: u32, longest: Duration) -> Duration {
    if attempts_left <= 1 {
        return remaining;
    }
    (remaining / 2).max(FAIR).min(longest).min(remaining)
}
