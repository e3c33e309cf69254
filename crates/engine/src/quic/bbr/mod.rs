//! Congestion control by a model of the path, as BBR has it (draft-ietf-ccwg-bbr): how fast it delivers and how long its
//! shortest round trip is. Single losses do not slow it down; a share of losses that grows with what is under way does.
//!
//! QUIC's pacer takes its rate from the window, so the window does here what BBR does with a pacing rate: it is the
//! bandwidth-delay product and a share of some headroom, which shrinks while the path loses packets.

mod delivery;
mod recent_max;
#[cfg(test)]
mod tests;

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use delivery::{Delivery, Sample};
use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;
use recent_max::RecentMax;

/// The window before anything is known, in packets.
const INITIAL_PACKETS: u64 = 32;
/// The least window, in packets.
const LEAST_PACKETS: u64 = 4;
/// The gain while the bandwidth is searched: what is under way doubles in each round.
const STARTUP_GAIN: f64 = 2.77;
/// A round in which the bandwidth grows by less is one without growth.
const GROWTH: f64 = 1.25;
/// After so many rounds without growth, the bandwidth is found.
const ROUNDS_WITHOUT_GROWTH: u8 = 3;
/// The search ends as well when a round loses this share of its bytes.
const STARTUP_LOSS: f64 = 0.1;
/// A round that loses a larger share of its bytes makes the share of the headroom that is used smaller.
const TOLERATED_LOSS: f64 = 0.02;
/// What is left of that share then.
const BACK_OFF: f64 = 0.7;
/// What it gains in each other round.
const RECOVERY: f64 = 1.0 / 64.0;
/// A round that delivers less than this share of the bandwidth has too small a window, whatever it loses.
const STARVED: f64 = 0.8;
/// What the share of the headroom gains then.
const RELIEF: f64 = 0.25;
/// The most losses that a larger window makes up for.
const MOST_LOSS: f64 = 0.2;
/// Every so many rounds, more bandwidth is looked for.
const PROBE_ROUNDS: u64 = 8;
/// The share of the headroom that such a round uses more, whatever is lost.
const PROBE_SHARE: f64 = 1.0 / 8.0;
/// The headroom is made for round trips of at least this length: the pacer sends bursts that last as long, and at both ends
/// the scheduler of the system adds as much. With less, a smaller window would make a smaller rate, and that a smaller window.
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(2);
/// The shortest round trip is measured again after this long.
const MIN_RTT_AGE: Duration = Duration::from_secs(10);
/// The gain while it is measured, and how long that takes once little is under way.
const PROBE_RTT: (f64, Duration) = (0.5, Duration::from_millis(200));

/// Makes a controller for each connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BbrFactory;

impl ControllerFactory for BbrFactory {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(Bbr::new(now, mtu))
    }
}

/// What the controller is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The bandwidth is searched.
    Startup,
    /// What the search has queued at the bottleneck drains.
    Drain,
    /// The path is used, and now and then probed for more bandwidth.
    Cruise,
    /// The shortest round trip is measured, until the time that is set once little is under way.
    ProbeRtt(Option<Instant>),
}

/// The controller of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    mtu: u64,
    phase: Phase,
    window: u64,
    delivery: Delivery,
    /// Bytes per second.
    bandwidth: RecentMax,
    min_rtt: Duration,
    min_rtt_at: Instant,
    /// Round trips so far, and the confirmed bytes with which the present one ends.
    round: u64,
    round_end: u64,
    /// Bytes confirmed when the round began, and lost since.
    round_begin: u64,
    round_begin_at: Instant,
    lost: u64,
    /// The share of bytes that is lost, over the last rounds.
    loss: f64,
    /// The bandwidth that growth is measured by, and the rounds without growth.
    full_bandwidth: u64,
    without_growth: u8,
    /// The share of the headroom that is used, up to 1.
    share: f64,
    aggregation: Aggregation,
}

/// How many more bytes than the bandwidth explains are confirmed at a time, where acknowledgements come together.
#[derive(Clone, Debug)]
struct Aggregation {
    since: Instant,
    bytes: u64,
    most: RecentMax,
}

impl Aggregation {
    fn record(&mut self, now: Instant, round: u64, acked: u64, bandwidth: u64, window: u64) {
        let expected = (bandwidth as f64 * now.saturating_duration_since(self.since).as_secs_f64()) as u64;
        if self.bytes <= expected {
            (self.since, self.bytes) = (now, acked);
            self.most.record(round, 0);
        } else {
            self.bytes += acked;
            self.most.record(round, (self.bytes - expected).min(window));
        }
    }
}

impl Bbr {
    /// A controller that knows nothing of its path.
    pub(super) fn new(now: Instant, mtu: u16) -> Self {
        let mtu = mtu.into();
        Self {
            mtu,
            phase: Phase::Startup,
            window: INITIAL_PACKETS * mtu,
            delivery: Delivery::new(now),
            bandwidth: RecentMax::default(),
            min_rtt: Duration::MAX,
            min_rtt_at: now,
            round: 0,
            round_end: 0,
            round_begin: 0,
            round_begin_at: now,
            lost: 0,
            loss: 0.0,
            full_bandwidth: 0,
            without_growth: 0,
            share: 1.0,
            aggregation: Aggregation { since: now, bytes: 0, most: RecentMax::default() },
        }
    }

    /// Learns from the packets of one acknowledgement.
    fn learn(&mut self, now: Instant, in_flight: u64, app_limited: bool) {
        let Some(sample) = self.delivery.sample(now, in_flight, app_limited, self.measured_rtt()) else { return };
        let round_over = sample.delivered_before >= self.round_end;
        if round_over {
            self.round += 1;
            self.round_end = self.delivery.delivered();
        }
        if let Some(rate) = sample.rate.filter(|rate| !sample.app_limited || *rate >= self.bandwidth.get()) {
            self.bandwidth.record(self.round, rate);
        }
        self.aggregation.record(now, self.round, sample.acked, self.bandwidth.get(), self.window);
        let rtt_is_old = now.saturating_duration_since(self.min_rtt_at) > MIN_RTT_AGE;
        if rtt_is_old || sample.round_trip <= self.min_rtt {
            (self.min_rtt, self.min_rtt_at) = (sample.round_trip, now);
        }
        if round_over {
            self.end_round(now, sample.app_limited);
        }
        self.change_phase(now, in_flight, rtt_is_old && !sample.app_limited);
        self.move_window(&sample);
    }

    fn measured_rtt(&self) -> Duration {
        if self.min_rtt == Duration::MAX { Duration::ZERO } else { self.min_rtt }
    }

    /// Judges a round by its growth and its losses.
    fn end_round(&mut self, now: Instant, app_limited: bool) {
        let delivered = self.delivery.delivered() - self.round_begin;
        let loss = self.lost as f64 / (self.lost + delivered).max(1) as f64;
        let usual = self.moved_in(now.saturating_duration_since(self.round_begin_at));
        (self.round_begin, self.round_begin_at, self.lost) = (self.delivery.delivered(), now, 0);
        self.loss += (loss - self.loss) / 8.0;
        let starved = self.phase == Phase::Cruise && (delivered as f64) < usual * STARVED;
        if starved && !app_limited {
            self.share = (self.share + RELIEF).min(1.0);
        } else if loss > TOLERATED_LOSS {
            self.share *= BACK_OFF;
        } else {
            self.share = (self.share + RECOVERY).min(1.0);
        }
        if self.phase != Phase::Startup {
            return;
        }
        let bandwidth = self.bandwidth.get();
        if bandwidth as f64 >= self.full_bandwidth as f64 * GROWTH {
            (self.full_bandwidth, self.without_growth) = (bandwidth, 0);
        } else if !app_limited {
            self.without_growth += 1;
        }
        if self.without_growth >= ROUNDS_WITHOUT_GROWTH || loss > STARTUP_LOSS {
            self.phase = Phase::Drain;
        }
    }

    fn change_phase(&mut self, now: Instant, in_flight: u64, rtt_is_old: bool) {
        match self.phase {
            Phase::ProbeRtt(Some(until)) if now >= until => self.phase = Phase::Cruise,
            Phase::ProbeRtt(None) if in_flight <= self.target() => {
                self.phase = Phase::ProbeRtt(Some(now + PROBE_RTT.1.max(self.min_rtt)));
            }
            Phase::Drain if in_flight <= self.target() => self.phase = Phase::Cruise,
            Phase::Cruise if rtt_is_old => self.phase = Phase::ProbeRtt(None),
            _ => {}
        }
    }

    /// The bytes that the bandwidth moves in a time.
    fn moved_in(&self, time: Duration) -> f64 {
        self.bandwidth.get() as f64 * time.as_secs_f64()
    }

    /// The bytes that are acknowledged at once where acknowledgements come together.
    fn together(&self) -> f64 {
        self.aggregation.most.get() as f64
    }

    /// What may be under way beyond the bandwidth-delay product: a second one, and what acknowledgements that come late or
    /// together hide.
    fn headroom(&self) -> f64 {
        let (shortest, product) = (self.moved_in(SHORTEST_ROUND_TRIP), self.moved_in(self.measured_rtt()));
        product.max(2.0 * shortest - product) + self.together()
    }

    /// Where the window is to be.
    fn target(&self) -> u64 {
        // What is lost on the way arrives only when it is sent again.
        let product = self.moved_in(self.measured_rtt()) / (1.0 - self.loss.min(MOST_LOSS));
        let target = match self.phase {
            Phase::Startup => product.max(self.moved_in(SHORTEST_ROUND_TRIP)) * STARTUP_GAIN + self.together(),
            Phase::Drain => product,
            Phase::Cruise if self.round.is_multiple_of(PROBE_ROUNDS) => {
                product + self.headroom() * (self.share + PROBE_SHARE).min(1.0)
            }
            Phase::Cruise => product + self.headroom() * self.share,
            Phase::ProbeRtt(_) => product * PROBE_RTT.0,
        };
        (target as u64).max(LEAST_PACKETS * self.mtu)
    }

    fn move_window(&mut self, sample: &Sample) {
        let target = self.target();
        if self.phase != Phase::Startup {
            self.window = target.min(self.window + sample.acked);
        } else if self.window < target || self.delivery.delivered() < INITIAL_PACKETS * self.mtu {
            self.window += sample.acked;
        }
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, now: Instant, _: u64, _: u64) {
        self.delivery.on_sent(now);
    }

    fn on_ack(&mut self, _: Instant, sent: Instant, bytes: u64, _: bool, _: &RttEstimator) {
        self.delivery.on_ack(sent, bytes);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _: Option<u64>) {
        self.learn(now, in_flight, app_limited);
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.lost += lost_bytes;
        if is_persistent_congestion {
            self.window = LEAST_PACKETS * self.mtu;
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
        self.window = self.window.max(LEAST_PACKETS * self.mtu);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL_PACKETS * self.mtu
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
