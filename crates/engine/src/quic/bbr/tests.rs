//! The controller on paths that are computed: a bottleneck with a rate, a queue, a distance and losses.

use std::{cmp::Reverse, collections::BinaryHeap};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;

const PACKET: u64 = 1452;

/// A path and what it has carried.
struct Path {
    /// Bytes per second.
    rate: f64,
    /// There and back, in seconds.
    round_trip: f64,
    /// Room in front of the bottleneck, in bytes.
    queue: f64,
    /// The share of packets that are lost whatever is sent.
    loss: f64,
    /// Acknowledgements arrive together, at multiples of this many seconds; 0 = each by itself.
    together: f64,
    /// Acknowledgements are late by up to so many seconds, and stay in order.
    jitter: f64,
}

/// A packet on its way.
#[derive(Clone, Copy)]
struct Packet {
    sent: Instant,
    lost: bool,
}

/// What a sender that always has more to send got through.
#[derive(Debug)]
struct Outcome {
    /// The share of the path's rate that arrived, in the second half of the time.
    used: f64,
    /// The share of the packets that was lost on the way, in the second half of the time.
    lost: f64,
    /// The most bytes under way in the second half of the time, in bandwidth-delay products.
    under_way: f64,
}

impl Path {
    /// A path without losses; the rate is in Mbit/s, the queue in bandwidth-delay products.
    fn new(mbit: f64, round_trip: f64, queue: f64) -> Self {
        let rate = mbit * 125_000.0;
        Self { rate, round_trip, queue: queue * rate * round_trip, loss: 0.0, together: 0.0, jitter: 0.0 }
    }

    /// Lets `controller` fill the path for some seconds.
    fn run(&self, controller: &mut Bbr, begun: Instant, from: f64, seconds: f64) -> Outcome {
        let at = |second: f64| begun + Duration::from_secs_f64(second);
        let mut random = SmallRng::seed_from_u64(7);
        // Times in nanoseconds, so that they are in order.
        let mut arrivals: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
        let mut packets: Vec<Packet> = Vec::new();
        let (mut oldest, mut in_flight) = (0, 0);
        let (mut now, mut free_at, mut next_send, mut last_back) = (from, from, from, from);
        let (mut arrived, mut sent, mut lost, mut most) = (0, 0, 0, 0);
        while now < from + seconds {
            let late = now > from + seconds / 2.0;
            if now >= next_send && in_flight + PACKET < controller.window() {
                // A batch that leaves at once, and a pause after it, as QUIC's pacer makes it.
                let mut batch = 0;
                while batch < 10 && in_flight + PACKET < controller.window() {
                    let full = (free_at - now).max(0.0) * self.rate > self.queue;
                    let dropped = full || random.random_bool(self.loss);
                    if !full {
                        free_at = free_at.max(now) + PACKET as f64 / self.rate;
                    }
                    packets.push(Packet { sent: at(now), lost: dropped });
                    if !dropped {
                        let mut back = free_at + self.round_trip + random.random::<f64>() * self.jitter;
                        back = back.max(last_back);
                        last_back = back;
                        if self.together > 0.0 {
                            back = (back / self.together).ceil() * self.together;
                        }
                        arrivals.push(Reverse(((back * 1e9) as u64, packets.len() as u64 - 1)));
                    }
                    in_flight += PACKET;
                    batch += 1;
                    sent += u64::from(late);
                    lost += u64::from(late && dropped);
                }
                controller.on_sent(at(now), batch * PACKET, 0);
                let pace = 1.25 * controller.window() as f64 / self.round_trip;
                next_send = now + (batch * PACKET) as f64 / pace;
            }
            most = if late { most.max(in_flight) } else { most };
            let can_send = in_flight + PACKET < controller.window();
            let next_ack = arrivals.peek().map_or(f64::INFINITY, |Reverse((time, _))| *time as f64 / 1e9);
            let next = if can_send { next_ack.min(next_send) } else { next_ack };
            if next.is_infinite() {
                // All that was under way is lost: QUIC sends a probe after a while.
                now += 1.0;
                controller.on_congestion_event(at(now), at(now), true, in_flight);
                (in_flight, oldest) = (0, packets.len());
                continue;
            }
            now = now.max(next);
            let (mut newest, mut acked) = (None, 0);
            while let Some(Reverse((time, number))) = arrivals.peek().copied() {
                if time as f64 / 1e9 > now {
                    break;
                }
                arrivals.pop();
                controller.delivery.on_ack(packets[number as usize].sent, PACKET);
                acked += PACKET;
                newest = newest.max(Some(number as usize));
            }
            let Some(newest) = newest else { continue };
            // The path keeps the order: what left earlier and has not arrived is lost.
            let gone = packets[oldest..=newest].iter().filter(|packet| packet.lost).count() as u64 * PACKET;
            oldest = newest + 1;
            in_flight -= acked + gone;
            arrived += if late { acked } else { 0 };
            controller.on_end_acks(at(now), in_flight + gone, false, None);
            if gone > 0 {
                controller.on_congestion_event(at(now), at(now), false, gone);
            }
        }
        Outcome {
            used: arrived as f64 / (self.rate * seconds / 2.0),
            lost: lost as f64 / (sent as f64).max(1.0),
            under_way: most as f64 / (self.rate * self.round_trip),
        }
    }

    /// What a new controller gets through in 20 seconds.
    fn outcome(&self) -> Outcome {
        let begun = Instant::now();
        self.run(&mut Bbr::new(begun, PACKET as u16), begun, 0.0, 20.0)
    }
}

#[test]
fn fills_a_path_without_filling_its_queue() {
    for (mbit, round_trip) in [(10.0, 0.3), (100.0, 0.05), (100.0, 0.15), (500.0, 0.02)] {
        let outcome = Path::new(mbit, round_trip, 8.0).outcome();
        assert!(
            outcome.used > 0.9 && outcome.lost < 0.001 && outcome.under_way < 2.6,
            "{mbit}, {round_trip}: {outcome:?}"
        );
    }
}

#[test]
fn losses_that_do_not_depend_on_it_cost_what_is_lost() {
    for loss in [0.01, 0.05, 0.15] {
        let outcome = Path { loss, ..Path::new(50.0, 0.15, 1.0) }.outcome();
        assert!(outcome.used > 0.9 * (1.0 - loss), "{loss}: {outcome:?}");
        // The same where round trips vary, which must not make the window smaller and smaller.
        let together = Path { loss, together: 0.02, ..Path::new(50.0, 0.05, 4.0) };
        let jitter = Path { loss, jitter: 0.04, ..Path::new(50.0, 0.05, 4.0) };
        for path in [together, jitter] {
            let outcome = path.outcome();
            assert!(outcome.used > 0.6, "{loss}, {}, {}: {outcome:?}", path.together, path.jitter);
        }
    }
}

#[test]
fn a_short_queue_is_not_flooded() {
    for (queue, most_lost) in [(0.05, 0.15), (0.2, 0.06), (0.5, 0.03)] {
        let outcome = Path::new(50.0, 0.1, queue).outcome();
        assert!(outcome.used > 0.9 && outcome.lost < most_lost, "{queue}: {outcome:?}");
    }
}

#[test]
fn acknowledgements_that_come_together_are_no_bandwidth() {
    for (round_trip, together) in [(0.05, 0.02), (0.002, 0.01), (0.1, 0.05)] {
        let path = Path { together, ..Path::new(100.0, round_trip, 64.0) };
        let outcome = path.outcome();
        // What is under way covers the wait for the acknowledgements as well.
        let needed = (path.round_trip + together) / path.round_trip;
        assert!(outcome.used > 0.9 && outcome.under_way < 4.0 * needed, "{round_trip}, {together}: {outcome:?}");
    }
}

#[test]
fn round_trips_that_vary_do_not_starve_it() {
    // As between two programs on one busy machine: 20 µs at best, up to 2 ms when the other has to wait for a core.
    let near = Path { jitter: 0.002, ..Path::new(1000.0, 0.000_02, 200.0) };
    let far = Path { jitter: 0.04, ..Path::new(50.0, 0.05, 2.0) };
    for path in [near, far] {
        let outcome = path.outcome();
        assert!(outcome.used > 0.7, "{}: {outcome:?}", path.round_trip);
    }
}

#[test]
fn a_receiver_with_a_short_queue_is_not_flooded() {
    // As above, to a program that drops what it has no room for: 256 packets.
    let near = Path { jitter: 0.001, queue: 256.0 * PACKET as f64, ..Path::new(1000.0, 0.000_02, 0.0) };
    let outcome = near.outcome();
    assert!(outcome.used > 0.9 && outcome.lost < 0.03, "{outcome:?}");
}

#[test]
fn follows_a_path_that_changes() {
    let begun = Instant::now();
    let mut bbr = Bbr::new(begun, PACKET as u16);
    let mut from = 0.0;
    for mbit in [100.0, 20.0, 200.0] {
        let outcome = Path::new(mbit, 0.05, 4.0).run(&mut bbr, begun, from, 20.0);
        assert!(outcome.used > 0.85 && outcome.lost < 0.02, "{mbit}: {outcome:?}");
        from += 30.0;
    }
}

#[test]
fn a_trickle_of_data_does_not_shrink_the_model() {
    let begun = Instant::now();
    let mut bbr = Bbr::new(begun, PACKET as u16);
    Path::new(100.0, 0.05, 4.0).run(&mut bbr, begun, 0.0, 5.0);
    let (bandwidth, mut now) = (bbr.bandwidth.get(), begun + Duration::from_secs(6));
    bbr.on_end_acks(now, 0, true, None);
    for _ in 0..500 {
        bbr.on_sent(now, PACKET, 0);
        bbr.delivery.on_ack(now, PACKET);
        now += Duration::from_millis(50);
        bbr.on_end_acks(now, 0, true, None);
    }
    assert_eq!(bbr.bandwidth.get(), bandwidth);
    assert!(bbr.delivery.is_empty(), "an idle connection remembers departures");
}

#[test]
fn a_dead_path_leaves_the_least_window() {
    let now = Instant::now();
    let mut bbr = Bbr::new(now, PACKET as u16);
    bbr.on_congestion_event(now, now, true, 32 * PACKET);
    assert_eq!(bbr.window(), 4 * PACKET);
}
