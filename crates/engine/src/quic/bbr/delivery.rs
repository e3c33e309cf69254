//! Measures the rate at which a path delivers packets (draft-ietf-ccwg-bbr, "Delivery Rate Samples").
//!
//! A rate is taken over a whole round trip, never between two acknowledgements: those often arrive together, and the time
//! between them says nothing about the path.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The most departures that are remembered. One is a whole batch of packets, so this is far more than is ever under way.
const MOST_DEPARTURES: usize = 8192;
/// The capacity that is kept while nothing is under way.
const IDLE_CAPACITY: usize = 16;

/// What was known when a batch of packets left.
#[derive(Clone, Copy, Debug)]
struct Departure {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    /// When the newest packet left that had been acknowledged by then.
    acknowledged_departure: Instant,
    app_limited: bool,
}

/// What a batch of acknowledgements says about the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// The delivery rate in bytes per second; `None` when the time was too short to tell.
    pub(super) rate: Option<u64>,
    /// The time between the departure of the newest acknowledged packet and now.
    pub(super) round_trip: Duration,
    /// Bytes that these acknowledgements confirm.
    pub(super) acked: u64,
    /// Bytes that had been confirmed when the newest acknowledged packet left.
    pub(super) delivered_before: u64,
    /// Whether too little was offered for the rate to be the path's.
    pub(super) app_limited: bool,
}

/// The packets that left and the bytes that arrived.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    delivered: u64,
    delivered_at: Instant,
    acknowledged_departure: Instant,
    /// Bytes confirmed since the last sample.
    acked: u64,
    /// Whether nothing is under way.
    idle: bool,
    /// While fewer bytes than this are confirmed, samples are limited by what the application offered; 0 = they are not.
    app_limited_until: u64,
    departures: VecDeque<Departure>,
    /// Of the packets confirmed since the last sample, the one that left last.
    newest: Option<Departure>,
}

impl Delivery {
    /// Nothing sent yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            delivered: 0,
            delivered_at: now,
            acknowledged_departure: now,
            acked: 0,
            idle: true,
            app_limited_until: 0,
            departures: VecDeque::new(),
            newest: None,
        }
    }

    /// Bytes confirmed so far.
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether no departure is remembered.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.departures.is_empty()
    }

    /// Packets leave.
    pub(super) fn on_sent(&mut self, now: Instant) {
        if std::mem::take(&mut self.idle) {
            self.delivered_at = now;
            self.acknowledged_departure = now;
        }
        if self.departures.back().is_some_and(|last| last.at >= now) {
            return;
        }
        if self.departures.len() == MOST_DEPARTURES {
            self.departures.pop_front();
        }
        self.departures.push_back(Departure {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            acknowledged_departure: self.acknowledged_departure,
            app_limited: self.app_limited_until > 0,
        });
    }

    /// A packet is acknowledged that left at `sent`.
    pub(super) fn on_ack(&mut self, sent: Instant, bytes: u64) {
        self.delivered += bytes;
        self.acked += bytes;
        if self.newest.is_some_and(|newest| newest.at >= sent) {
            return;
        }
        let place = self.departures.partition_point(|departure| departure.at < sent);
        if let Some(departure) = self.departures.get(place).filter(|departure| departure.at == sent) {
            self.newest = Some(*departure);
        }
    }

    /// All packets of an acknowledgement have been given to [`Self::on_ack`]; what they say. `in_flight`: bytes still under
    /// way; `app_limited`: whether more could be sent than there is; `min_rtt`: a rate over a shorter time is none.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        min_rtt: Duration,
    ) -> Option<Sample> {
        let acked = std::mem::take(&mut self.acked);
        let sample = self.newest.take().map(|newest| self.sample_of(&newest, now, acked, min_rtt));
        if app_limited {
            self.app_limited_until = (self.delivered + in_flight).max(1);
        } else if self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        if in_flight == 0 {
            self.idle = true;
            self.departures.clear();
            self.departures.shrink_to(IDLE_CAPACITY);
        }
        sample
    }

    fn sample_of(&mut self, newest: &Departure, now: Instant, acked: u64, min_rtt: Duration) -> Sample {
        let sending = newest.at.saturating_duration_since(newest.acknowledged_departure);
        let arriving = now.saturating_duration_since(newest.delivered_at);
        // Neither can the path deliver faster than packets are sent, nor do acknowledgements that come together make it
        // faster: the longer of the two times counts.
        let time = sending.max(arriving);
        let bytes = (self.delivered - newest.delivered) as f64;
        let rate = (!time.is_zero() && time >= min_rtt).then(|| (bytes / time.as_secs_f64()) as u64);
        self.delivered_at = now;
        self.acknowledged_departure = newest.at;
        let past = self.departures.partition_point(|departure| departure.at < newest.at);
        self.departures.drain(..past);
        Sample {
            rate,
            round_trip: now.saturating_duration_since(newest.at),
            acked,
            delivered_before: newest.delivered,
            app_limited: newest.app_limited,
        }
    }
}
