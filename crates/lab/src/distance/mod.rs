//! How far a server is from its clients: delay, jitter, loss and rate of each direction.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

mod link;
#[cfg(test)]
mod tests;

pub(crate) use link::Link;

/// One direction of the way between a client and a server.
///
/// The bytes of a connection arrive complete and in order, as they do over TCP: a lost packet is one that arrives later, and
/// everything behind it waits. Congestion control is not modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Path {
    /// How long each byte travels.
    pub delay: Duration,
    /// The most by which a packet is late, at random.
    pub jitter: Duration,
    /// The share of packets (of 1460 bytes) that are lost once, 0 to 1: each arrives one round trip later, and at least 200 ms
    /// later, the shortest retransmission timeout of Linux.
    pub loss: f64,
    /// Bits a second, shared by all connections of the server; `None` = no bound.
    pub rate: Option<u64>,
}

/// Both directions. The TCP handshake of a connection on loopback takes no time, so the round trip that it would take is added
/// before the first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distance {
    /// From the client to the server.
    pub up: Path,
    /// From the server to the client.
    pub down: Path,
}

impl Distance {
    /// The same delay each way, without jitter, loss or a bound on the rate.
    #[must_use]
    pub fn of_round_trip(round_trip: Duration) -> Self {
        let path = Path { delay: round_trip / 2, ..Path::default() };
        Self { up: path, down: path }
    }

    /// How long a byte and its answer travel together.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.up.delay + self.down.delay
    }

    /// The same with this many bits a second each way.
    #[must_use]
    pub fn with_rate(mut self, rate: u64) -> Self {
        (self.up.rate, self.down.rate) = (Some(rate), Some(rate));
        self
    }
}

/// Distances of many servers, drawn at random: round trips are log-normal, as those of public proxies roughly are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distances {
    /// The same seed draws the same distances.
    pub seed: u64,
    /// The median round trip.
    pub median: Duration,
    /// The standard deviation of the round trip's logarithm.
    pub sigma: f64,
    /// The jitter of each direction as a share of its delay.
    pub jitter: f64,
    /// The share of packets that are lost once, see [`Path::loss`].
    pub loss: f64,
}

/// The longest round trip that is drawn.
const FARTHEST: Duration = Duration::from_secs(5);

impl Distances {
    /// Draws the distance of each of `count` servers. The first ones stay the same when there are more.
    #[must_use]
    pub fn draw(&self, count: usize) -> Vec<Distance> {
        let mut random = StdRng::seed_from_u64(self.seed);
        (0..count).map(|_| self.draw_one(&mut random)).collect()
    }

    fn draw_one(&self, random: &mut StdRng) -> Distance {
        let round_trip = self.median.as_secs_f64() * (self.sigma * standard_normal(random)).exp();
        let delay = Duration::from_secs_f64(round_trip.min(FARTHEST.as_secs_f64()) / 2.0);
        let path = Path { delay, jitter: delay.mul_f64(self.jitter.max(0.0)), loss: self.loss, rate: None };
        Distance { up: path, down: path }
    }
}

/// A sample of the standard normal distribution (Box and Muller 1958).
fn standard_normal(random: &mut StdRng) -> f64 {
    // 1 - x lies in (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}
