//! A congestion controller that is chosen after the handshake: Brutal when the server has named a rate, else BBR.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quinn::congestion::{BbrConfig, Controller, ControllerFactory};
use quinn_proto::RttEstimator;

/// The seconds over which the share of lost packets is measured.
const SLOTS: usize = 5;
/// The fewest bytes (about 50 packets) for which a share of lost packets is computed.
const LEAST_SAMPLE: u64 = 50 * 1200;
/// The smallest share of delivered packets that Brutal compensates: it sends at most a quarter more than the rate.
const LEAST_SHARE: f64 = 0.8;
/// The smallest window, in packets.
const LEAST_PACKETS: u64 = 10;

/// The rate at which we may send, in bytes per second; 0 until there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promise(Arc<AtomicU64>);

impl Promise {
    /// Sets the rate.
    pub(crate) fn settle(&self, rate: u64) {
        self.0.store(rate, Ordering::Relaxed);
    }

    fn rate(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }
}

/// BBR until `promise` has a rate, then Brutal.
pub(crate) fn negotiated(promise: Promise) -> Arc<dyn ControllerFactory + Send + Sync> {
    Arc::new(Factory(promise))
}

struct Factory(Promise);

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let bbr = Arc::new(BbrConfig::default()).build(now, mtu);
        let brutal = Brutal { begun: now, rtt: Duration::ZERO, mtu: mtu.into(), slots: [Slot::default(); SLOTS] };
        Box::new(Negotiated { promise: self.0.clone(), bbr, brutal })
    }
}

struct Negotiated {
    promise: Promise,
    bbr: Box<dyn Controller>,
    brutal: Brutal,
}

/// What Hysteria calls Brutal: it sends at the promised rate, and faster to compensate losses, without backing off.
#[derive(Clone, Debug)]
pub(super) struct Brutal {
    begun: Instant,
    rtt: Duration,
    mtu: u64,
    slots: [Slot; SLOTS],
}

/// The bytes of one second.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    arrived: u64,
    lost: u64,
}

impl Brutal {
    /// A controller at its beginning.
    #[cfg(test)]
    pub(super) const fn new(begun: Instant, mtu: u64) -> Self {
        Self { begun, rtt: Duration::ZERO, mtu, slots: [Slot { second: 0, arrived: 0, lost: 0 }; SLOTS] }
    }

    /// Counts bytes that have arrived or were lost.
    pub(super) fn count(&mut self, now: Instant, arrived: u64, lost: u64) {
        let second = now.saturating_duration_since(self.begun).as_secs();
        let place = usize::try_from(second).unwrap_or(0) % SLOTS;
        if let Some(slot) = self.slots.get_mut(place) {
            if slot.second != second {
                *slot = Slot { second, arrived: 0, lost: 0 };
            }
            slot.arrived += arrived;
            slot.lost += lost;
        }
    }

    /// Sets the round-trip time that the window is computed from.
    pub(super) const fn round_trip(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// The share of recently sent bytes that was acknowledged.
    fn share(&self) -> f64 {
        let newest = self.slots.iter().map(|slot| slot.second).max().unwrap_or(0);
        let recent = self.slots.iter().filter(|slot| slot.second + SLOTS as u64 > newest);
        let (arrived, lost) = recent.fold((0, 0), |(arrived, lost), slot| (arrived + slot.arrived, lost + slot.lost));
        let sent = arrived + lost;
        if sent < LEAST_SAMPLE { 1.0 } else { (arrived as f64 / sent as f64).max(LEAST_SHARE) }
    }

    /// The window in bytes: what the rate sends in one round trip, and more by what is lost. QUIC spreads a window over a little
    /// less than a round trip.
    pub(super) fn window(&self, rate: u64) -> u64 {
        let bytes = rate as f64 / self.share() * self.rtt.as_secs_f64();
        (bytes as u64).clamp(LEAST_PACKETS * self.mtu, u32::MAX.into())
    }
}

impl Controller for Negotiated {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.bbr.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.brutal.round_trip(rtt.get());
        self.brutal.count(now, bytes, 0);
        self.bbr.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.bbr.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.brutal.count(now, 0, lost_bytes);
        self.bbr.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.brutal.mtu = new_mtu.into();
        self.bbr.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.promise.rate().map_or_else(|| self.bbr.window(), |rate| self.brutal.window(rate))
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { promise: self.promise.clone(), bbr: self.bbr.clone_box(), brutal: self.brutal.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.bbr.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
