//! The strategies, one function each.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use smallvec::SmallVec;

use super::{Choice, DRAWS, score, score_with_transfer};
use crate::{
    Node, State, Strategy,
    hash::mix,
    index::{key, slot_of},
};

/// Turns taken before a scan.
const TURNS: usize = 64;
/// Nodes behind one exit that are looked at in one turn.
const BEHIND: usize = 8;
/// Nodes up to which all are compared for their load.
const EXACT: usize = 32;
/// Nodes drawn and compared beyond that.
const SAMPLE: usize = 16;
/// Nodes compared at the head of the order of latency.
const FASTEST: usize = 16;
/// Nodes that are looked at for a second choice when draws have found none. One node is enough to serve a request, so that a
/// view of a million nodes, nearly all of which do not fit, is not walked twice.
const SECOND: usize = 4096;
/// Points looked up on the ring per site. With one point the largest share is about ln(n) times the mean; every
/// further point evens the shares out (multi-probe consistent hashing, Appleton and O'Reilly 2015).
const POINTS: usize = 4;

impl<'s, D> Choice<'s, '_, D> {
    pub(super) fn by_strategy(&mut self, seed: u64) -> Option<&'s Arc<Node<D>>> {
        if self.view.len() == 0 {
            return None;
        }
        if self.query.prefer_recent_success {
            return self.likely_fast();
        }
        match self.query.strategy {
            Strategy::Smart => self.smart(),
            Strategy::RoundRobin => self.round_robin(),
            Strategy::Random => self.random(),
            Strategy::LeastLatency => self.least_latency(),
            Strategy::LeastConnections => self.least_connections(),
            Strategy::ConsistentHash => self.on_ring(self.ring_seed(seed)),
            Strategy::Sticky => self.on_ring(self.query.session.map_or(seed, |session| session.0)),
            Strategy::Fastest => self.fastest(),
        }
    }

    /// The node that costs least among all, or among a few drawn at random; each second since its last success makes it dearer
    /// by as much again, since it may have died meanwhile.
    fn likely_fast(&mut self) -> Option<&'s Arc<Node<D>>> {
        let now = self.query.now.map_or(0, |now| now.0);
        let cost = |node: &&'s Arc<Node<D>>| {
            let silent_secs = now.saturating_sub(node.last_success()) as f32 / 1000.0;
            score(node) * (1.0 + silent_secs)
        };
        let cheaper = |a: &&'s Arc<Node<D>>, b: &&'s Arc<Node<D>>| cost(a).total_cmp(&cost(b));
        let count = self.view.len();
        if count <= EXACT {
            return (0..count).filter_map(|index| self.member(index)).min_by(cheaper);
        }
        let drawn = (0..SAMPLE).filter_map(|_| self.draw_once()).min_by(cheaper);
        drawn.or_else(|| self.scan())
    }

    /// Two exits are compared, and each wins with a chance that falls with the power 1.5 of what it costs: the worse one gets
    /// its share, also when there are only two.
    fn smart(&mut self) -> Option<&'s Arc<Node<D>>> {
        let first = self.draw()?;
        let Some(second) = self.another(first) else { return Some(first) };
        // By the costs themselves a node ten times as far away would serve every eleventh of these requests, which then decide
        // the slowest tenth; this way it serves every 33rd.
        let [one, other] = self.transfer_micros([first, second]);
        let one = score_with_transfer(first, one).powf(1.5);
        let other = score_with_transfer(second, other).powf(1.5);
        Some(if self.rng.unit() * (one + other) < other { first } else { second })
    }

    /// How long two nodes would take to move the bytes of the request, in µs; one of which nothing is known counts as the other.
    fn transfer_micros(&self, nodes: [&Node<D>; 2]) -> [f32; 2] {
        if self.query.expected_bytes <= 0.0 {
            return [0.0; 2];
        }
        let [one, other] = nodes.map(|node| self.tables.throughput(node));
        let micros = |rate: Option<f32>| rate.map_or(0.0, |rate| self.query.expected_bytes / rate.max(1.0) * 1e6);
        [micros(one.or(other)), micros(other.or(one))]
    }

    /// A fitting node behind another exit if there is one, else another node behind the same.
    fn another(&mut self, first: &Node<D>) -> Option<&'s Arc<Node<D>>> {
        if self.view.len() < 2 {
            return None;
        }
        if self.view.exits.len() > 1 {
            let elsewhere = |node: &&'s Arc<Node<D>>| node.exit() != first.exit();
            let drawn = (0..DRAWS).find_map(|_| self.draw_once().filter(elsewhere));
            let start = self.rng.below(self.view.len());
            let found = drawn.or_else(|| self.scan_near(start, SECOND, elsewhere));
            if found.is_some() {
                return found;
            }
        }
        (0..DRAWS).find_map(|_| self.draw_once().filter(|node| node.id() != first.id()))
    }

    fn random(&mut self) -> Option<&'s Arc<Node<D>>> {
        let mut suspect = None;
        for _ in 0..DRAWS {
            let Some(node) = self.draw_once() else { continue };
            if node.state() != State::Suspect || self.rng.next() & 3 == 0 {
                return Some(node);
            }
            suspect = Some(node);
        }
        suspect.or_else(|| self.scan())
    }

    fn round_robin(&mut self) -> Option<&'s Arc<Node<D>>> {
        let count = self.view.exits.len();
        let mut suspect = None;
        for _ in 0..TURNS {
            let turn = self.view.turn.fetch_add(1, Relaxed);
            let (exit, round) = (turn % count, turn / count);
            let slots = self.view.exits.nodes_at(exit);
            let (lap, start) = (round / slots.len().max(1), round % slots.len().max(1));
            for near in 0..slots.len().min(BEHIND) {
                let place = (start + near) % slots.len();
                let Some(node) = self.at(slots[place]) else { continue };
                let on_time = near == 0 && lap.wrapping_add(exit + place) & 3 == 0;
                if node.state() != State::Suspect || on_time {
                    return Some(node);
                }
                suspect = suspect.or(Some(node));
            }
        }
        suspect.or_else(|| self.scan_from(self.view.turn.load(Relaxed) % self.view.len()))
    }

    fn least_latency(&self) -> Option<&'s Arc<Node<D>>> {
        let fitting = self.view.order.from(0).filter_map(|key| self.at(slot_of(key)));
        let fastest: SmallVec<[_; FASTEST]> =
            fitting.take(FASTEST).map(|node| (node, node.weighed_latency())).collect();
        let least = fastest.iter().map(|(_, latency)| *latency).min()?;
        let close = least.saturating_add(least / 10);
        fastest.into_iter().filter(|(_, l)| *l <= close).map(|(node, _)| node).min_by_key(|node| node.in_flight())
    }

    fn least_connections(&mut self) -> Option<&'s Arc<Node<D>>> {
        let count = self.view.len();
        let start = self.rng.below(count);
        let load = |node: &&'s Arc<Node<D>>| {
            // A suspect stands behind eight open leases.
            u64::from(node.in_flight()) + if node.state() == State::Suspect { 8 } else { 0 }
        };
        if count <= EXACT {
            return (0..count).filter_map(|i| self.member((start + i) % count)).min_by_key(load);
        }
        let drawn = (0..SAMPLE).filter_map(|_| {
            let index = self.rng.below(count);
            self.member(index)
        });
        drawn.min_by_key(load).or_else(|| self.scan_from(start))
    }

    fn fastest(&mut self) -> Option<&'s Arc<Node<D>>> {
        let drawn: SmallVec<[_; SAMPLE]> = (0..SAMPLE).filter_map(|_| self.draw_once()).collect();
        let (sum, count) = drawn
            .iter()
            .filter_map(|node| self.tables.throughput(node))
            .fold((0.0, 0.0), |(sum, count), rate| (sum + rate, count + 1.0));
        let mean = if count > 0.0 { sum / count } else { 1.0 };
        let share = |node: &Node<D>| self.tables.throughput(node).unwrap_or(mean) / (1.0 + node.in_flight() as f32);
        let best = drawn.into_iter().max_by(|a, b| share(a).total_cmp(&share(b)));
        best.or_else(|| self.scan())
    }

    /// What a node is chosen by with consistent hashing: the site, or without one the session, or without that `seed`.
    fn ring_seed(&self, seed: u64) -> u64 {
        let session = self.query.session.map_or(seed, |session| session.0);
        self.query.site.map_or(session, |site| site.0)
    }

    /// The node nearest behind any of the points that `seed` has on the ring. The distances are in the ring itself; only the
    /// node that wins is looked at.
    fn on_ring(&self, seed: u64) -> Option<&'s Arc<Node<D>>> {
        let mut nearest: [(u32, u32); POINTS] = std::array::from_fn(|number| {
            let point = (mix(seed ^ mix(number as u64)) >> 32) as u32;
            let behind = self.view.ring.at_or_after(key(point, 0)).unwrap_or_default();
            (((behind >> 32) as u32).wrapping_sub(point), slot_of(behind))
        });
        nearest.sort_unstable();
        nearest.iter().find_map(|(_, slot)| self.at(*slot)).or_else(|| {
            let start = key((mix(seed) >> 32) as u32, 0);
            let ring = self.view.ring.from(start).chain(self.view.ring.from(0));
            ring.take(2 * self.view.len()).find_map(|key| self.at(slot_of(key)))
        })
    }
}
