//! Port hopping: at intervals the client changes the destination port of a server that listens on many ports.

use std::time::Duration;

use rand::RngExt;

/// The time between two hops when the node names none, as in Hysteria itself.
const INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two hops. Quicker hops would only lose packets.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);

/// The ports to hop over.
#[derive(Clone, Debug)]
pub(crate) struct PortHopping {
    /// Inclusive ranges, the first port not after the last; never empty.
    ranges: Vec<(u16, u16)>,
    /// The time between two hops.
    pub(super) interval: Duration,
}

impl PortHopping {
    /// The server's own port and the published ranges; `None` when there is nothing to hop to.
    pub(crate) fn new(own: u16, ranges: &[(u16, u16)], seconds: Option<u32>) -> Option<Self> {
        if ranges.is_empty() {
            return None;
        }
        let tidy = |&(a, b): &(u16, u16)| (a.min(b).max(1), a.max(b).max(1));
        let mut ranges: Vec<_> = ranges.iter().map(tidy).collect();
        if !ranges.iter().any(|(first, last)| (*first..=*last).contains(&own)) {
            ranges.push((own, own));
        }
        let interval = seconds.map_or(INTERVAL, |seconds| Duration::from_secs(seconds.into()).max(LEAST_INTERVAL));
        Some(Self { ranges, interval })
    }

    /// A random port. All ports are equally likely.
    pub(super) fn port(&self) -> u16 {
        let width = |&(first, last): &(u16, u16)| u32::from(last - first) + 1;
        let mut place = rand::rng().random_range(0..self.ranges.iter().map(width).sum::<u32>().max(1));
        for range in &self.ranges {
            if place < width(range) {
                return range.0 + u16::try_from(place).unwrap_or(0);
            }
            place -= width(range);
        }
        self.ranges.first().map_or(443, |range| range.0)
    }
}
