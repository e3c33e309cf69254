//! Choosing one node of a view: a bounded number of draws, then a bounded scan, so that a node that fits is found
//! whenever there is one.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use hezar_core::{NodeId, Timestamp};
use smallvec::SmallVec;

use crate::{
    Node, Query, Snapshot, State, Strategy,
    hash::{Draws, mix},
    sessions::{Pin, Sessions},
    sites::Sites,
    view::{View, ViewKey, key, slot_of},
};

/// Draws before a scan.
const DRAWS: usize = 16;
/// Turns taken before a scan.
const TURNS: usize = 64;
/// Nodes that may have lost their trial to somebody else before circuits are not looked at any more.
const TRIALS: usize = 4;
/// Times that a session is looked up again because somebody else has pinned it meanwhile.
const PINS: usize = 4;
/// Exits that a session may have besides its first one at a site that refuses that.
const OTHER_EXITS: u32 = 8;
/// Nodes behind one exit that are looked at in one turn.
const BEHIND: usize = 8;
/// Nodes up to which all are compared for their load.
const EXACT: usize = 32;
/// Nodes drawn and compared beyond that.
const SAMPLE: usize = 16;
/// Nodes compared at the head of the order of latency.
const FASTEST: usize = 16;
/// Points looked up on the ring per site. With one point the largest share is about ln(n) times the mean; every
/// further point evens the shares out (multi-probe consistent hashing, Appleton and O'Reilly 2015).
const POINTS: usize = 4;
/// The latency assumed for a node that was never measured, in µs.
const UNKNOWN_LATENCY: f32 = 1e6;

/// Picks a node for a query.
pub(crate) fn pick<'s, D>(
    snapshot: &'s Snapshot<D>,
    query: &Query<'_>,
    seed: u64,
    sessions: &Sessions,
    sites: &'s Sites,
) -> Option<&'s Arc<Node<D>>> {
    let view = snapshot.view(query.view())?;
    let mut choice = Choice { snapshot, view, query, sites: Some(sites), draws: Draws::new(seed), now: query.now };
    let node = choice.admitted(seed, sessions);
    if node.is_some() || query.site.is_none() {
        return node;
    }
    // The site refuses every node that is left: one of them is still better than none.
    (choice.sites, choice.now) = (None, query.now);
    choice.admitted(seed, sessions)
}

/// A node for a session that is to come out elsewhere: not behind `exit` if there is any other.
pub(crate) fn pick_elsewhere<'s, D>(
    snapshot: &'s Snapshot<D>,
    query: &Query<'_>,
    seed: u64,
    exit: Option<u64>,
) -> Option<&'s Arc<Node<D>>> {
    let view = snapshot.view(query.view())?;
    if view.len() == 0 {
        return None;
    }
    let mut choice = Choice { snapshot, view, query, sites: None, draws: Draws::new(seed), now: None };
    let elsewhere = |node: &&'s Arc<Node<D>>| Some(node.exit()) != exit;
    let drawn = (0..DRAWS).find_map(|_| choice.draw_once().filter(elsewhere));
    drawn.or_else(|| (0..view.len()).find_map(|index| choice.member(index).filter(elsewhere))).or_else(|| choice.draw())
}

/// The keys under which a session has its exits for a site: the usual one, then those that follow when it is refused.
pub(crate) fn keys_at(session: u64, site: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(session), move |key| Some(other_key(*key, site))).take(OTHER_EXITS as usize + 1)
}

/// The key of the exit that a session has at a site that refuses the one of this key.
const fn other_key(session: u64, site: u64) -> u64 {
    mix(session ^ mix(site))
}

/// The first `most` nodes behind an exit.
pub(crate) fn behind<D>(snapshot: &Snapshot<D>, exit: u64, most: usize) -> impl Iterator<Item = NodeId> {
    let slots = snapshot.view(Query::default().view()).map_or(&[][..], |view| view.seats.behind(exit));
    slots.iter().take(most).filter_map(|slot| snapshot.node_at(*slot)).map(|node| node.id())
}

impl Query<'_> {
    pub(crate) fn view(&self) -> ViewKey {
        ViewKey { filter: self.filter.map_or(0, |id| id.0), country: self.country }
    }
}

struct Choice<'s, 'q, D> {
    snapshot: &'s Snapshot<D>,
    view: &'s View,
    query: &'q Query<'q>,
    /// What sites refuse; not asked when nothing else is left.
    sites: Option<&'s Sites>,
    draws: Draws,
    /// The time by which circuits are looked at, if they are.
    now: Option<Timestamp>,
}

impl<'s, D> Choice<'s, '_, D> {
    /// A node whose circuit lets this request through, or, when all of them rest, one that rests.
    fn admitted(&mut self, seed: u64, sessions: &Sessions) -> Option<&'s Arc<Node<D>>> {
        for _ in 0..TRIALS {
            let Some(node) = self.once(seed, sessions) else { break };
            // Somebody else may have taken the trial of a node whose rest is over.
            if self.now.is_none_or(|now| node.admit(now)) {
                return Some(node);
            }
        }
        self.now = None;
        self.once(seed, sessions)
    }

    fn once(&mut self, seed: u64, sessions: &Sessions) -> Option<&'s Arc<Node<D>>> {
        match self.query.session {
            Some(session) => self.pinned(session, sessions),
            None => self.by_strategy(seed),
        }
    }

    /// The session's node as long as it lives, then another one behind the same exit, then any. While the caller
    /// excludes it, another one helps out unpinned. The table is not locked while nodes are looked at: when somebody
    /// else pins the session meanwhile, that pin counts.
    fn pinned(&mut self, session: u64, sessions: &Sessions) -> Option<&'s Arc<Node<D>>> {
        self.pinned_or(session, sessions, OTHER_EXITS, None)
    }

    /// The same. Where the site refuses the session's exit, the session has a second fixed one for that site, as long as
    /// it is refused, and a third one; at most `others`. A session that is pinned to nothing begins behind the exit `near`
    /// if it can.
    fn pinned_or(
        &mut self,
        session: u64,
        sessions: &Sessions,
        others: u32,
        near: Option<u64>,
    ) -> Option<&'s Arc<Node<D>>> {
        let mut home = None;
        for _ in 0..PINS {
            let pin = sessions.shard(session).get(session);
            let near = near.filter(|_| pin.is_none()).and_then(|exit| self.behind(exit));
            let node = near.or_else(|| self.home(pin, session))?;
            home = Some(node);
            let wanted = pin_of(node);
            if pin == Some(wanted) || sessions.shard(session).replace(session, pin, wanted) {
                break;
            }
        }
        let home = home?;
        if self.fits(home) {
            return Some(home);
        }
        match self.query.site {
            Some(site) if others > 0 && self.is_refused(home) => {
                self.pinned_or(other_key(session, site), sessions, others - 1, Some(home.exit()))
            }
            _ => self.behind(home.exit()).or_else(|| self.by_strategy(session)),
        }
    }

    /// Where a session belongs.
    fn home(&mut self, pin: Option<Pin>, session: u64) -> Option<&'s Arc<Node<D>>> {
        let Some(pin) = pin else { return self.by_strategy(session) };
        let node = self.snapshot.node_at(pin.slot).filter(|node| node.id() == pin.id && self.belongs(node));
        // It may come out elsewhere now, or only now it is known where.
        if let Some(node) = node
            && (node.exit() == pin.exit || pin.exit == node.server_exit().exit)
        {
            return Some(node);
        }
        let twin = self.behind(pin.exit).or_else(|| self.alive_behind(pin.exit));
        twin.or(node).or_else(|| self.by_strategy(session))
    }

    /// A node behind an exit that lives and does not fit just now: the session stays with it all the same.
    fn alive_behind(&self, exit: u64) -> Option<&'s Arc<Node<D>>> {
        let mut nodes = self.view.seats.behind(exit).iter().filter_map(|slot| self.snapshot.node_at(*slot));
        nodes.find(|node| node.routable() && node.exit() == exit)
    }

    /// Whether a pinned node is still one of the view's.
    fn belongs(&self, node: &Node<D>) -> bool {
        let country = self.query.country.is_none_or(|country| node.country() == Some(country));
        node.routable()
            && country
            && (self.query.filter.is_none() || self.view.seats.behind(node.exit()).contains(&node.slot()))
    }

    /// The best fitting node behind an exit; all of them are looked at, for a session must not lose its exit.
    fn behind(&self, exit: u64) -> Option<&'s Arc<Node<D>>> {
        let nodes = self.view.seats.behind(exit).iter().filter_map(|slot| self.at(*slot));
        nodes.filter(|node| node.exit() == exit).min_by(|a, b| score(a).total_cmp(&score(b)))
    }

    fn by_strategy(&mut self, seed: u64) -> Option<&'s Arc<Node<D>>> {
        if self.view.len() == 0 {
            return None;
        }
        if self.query.proven {
            return self.proven();
        }
        match self.query.strategy {
            Strategy::Smart => self.smart(),
            Strategy::RoundRobin => self.round_robin(),
            Strategy::Random => self.random(),
            Strategy::LeastLatency => self.least_latency(),
            Strategy::LeastConnections => self.least_connections(),
            Strategy::ConsistentHash => self.on_ring(self.query.site.or(self.query.session).unwrap_or(seed)),
            Strategy::Sticky => self.on_ring(self.query.session.unwrap_or(seed)),
        }
    }

    fn proven(&mut self) -> Option<&'s Arc<Node<D>>> {
        let count = self.view.len();
        if count <= EXACT {
            return (0..count).filter_map(|index| self.member(index)).max_by_key(|node| node.proven());
        }
        let drawn = (0..SAMPLE).filter_map(|_| self.draw_once()).max_by_key(|node| node.proven());
        drawn.or_else(|| self.scan())
    }

    /// Two exits are compared, and each wins with a chance that falls with what it costs: the worse one gets its share,
    /// also when there are only two.
    fn smart(&mut self) -> Option<&'s Arc<Node<D>>> {
        let first = self.draw()?;
        let Some(second) = self.another(first) else { return Some(first) };
        let (one, other) = (score(first), score(second));
        Some(if self.draws.unit() * (one + other) < other { first } else { second })
    }

    /// A fitting node behind another exit if there is one, else another node behind the same.
    fn another(&mut self, first: &Node<D>) -> Option<&'s Arc<Node<D>>> {
        if self.view.len() < 2 {
            return None;
        }
        if self.view.seats.len() > 1 {
            let elsewhere = |node: &&'s Arc<Node<D>>| node.exit() != first.exit();
            let drawn = (0..DRAWS).find_map(|_| self.draw_once().filter(elsewhere));
            let start = self.draws.below(self.view.len());
            let found = drawn.or_else(|| self.scan_from(start, elsewhere));
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
            if node.state() != State::Suspect || self.draws.next() & 3 == 0 {
                return Some(node);
            }
            suspect = Some(node);
        }
        suspect.or_else(|| self.scan())
    }

    fn round_robin(&self) -> Option<&'s Arc<Node<D>>> {
        let count = self.view.seats.len();
        let mut suspect = None;
        for _ in 0..TURNS {
            let turn = self.view.turn.fetch_add(1, Relaxed);
            let (seat, round) = (turn % count, turn / count);
            let slots = self.view.seats.at(seat);
            let (lap, start) = (round / slots.len().max(1), round % slots.len().max(1));
            for near in 0..slots.len().min(BEHIND) {
                let place = (start + near) % slots.len();
                let Some(node) = self.at(slots[place]) else { continue };
                let on_time = near == 0 && lap.wrapping_add(seat + place) & 3 == 0;
                if node.state() != State::Suspect || on_time {
                    return Some(node);
                }
                suspect = suspect.or(Some(node));
            }
        }
        suspect.or_else(|| self.scan_from(self.view.turn.load(Relaxed) % self.view.len(), |_| true))
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
        let start = self.draws.below(count);
        let load = |node: &&'s Arc<Node<D>>| {
            // A suspect stands behind eight open leases.
            u64::from(node.in_flight()) + if node.state() == State::Suspect { 8 } else { 0 }
        };
        if count <= EXACT {
            return (0..count).filter_map(|i| self.member((start + i) % count)).min_by_key(load);
        }
        let drawn = (0..SAMPLE).filter_map(|_| {
            let index = self.draws.below(count);
            self.member(index)
        });
        drawn.min_by_key(load).or_else(|| self.scan_from(start, |_| true))
    }

    /// The node nearest behind any of the site's points on the ring. The distances are in the ring itself; only the
    /// node that wins is looked at.
    fn on_ring(&self, site: u64) -> Option<&'s Arc<Node<D>>> {
        let mut nearest: [(u32, u32); POINTS] = std::array::from_fn(|number| {
            let point = (mix(site ^ mix(number as u64)) >> 32) as u32;
            let behind = self.view.ring.at_or_after(key(point, 0)).unwrap_or_default();
            (((behind >> 32) as u32).wrapping_sub(point), slot_of(behind))
        });
        nearest.sort_unstable();
        nearest.iter().find_map(|(_, slot)| self.at(*slot)).or_else(|| {
            let start = key((mix(site) >> 32) as u32, 0);
            let ring = self.view.ring.from(start).chain(self.view.ring.from(0));
            ring.take(2 * self.view.len()).find_map(|key| self.at(slot_of(key)))
        })
    }

    /// A fitting node at random: drawn, or found by a scan from a random place.
    fn draw(&mut self) -> Option<&'s Arc<Node<D>>> {
        (0..DRAWS).find_map(|_| self.draw_once()).or_else(|| self.scan())
    }

    fn draw_once(&mut self) -> Option<&'s Arc<Node<D>>> {
        let seat = self.draws.below(self.view.seats.len());
        let view = self.view;
        match view.seats.at(seat) {
            [] => None,
            [slot] => self.at(*slot),
            slots => {
                let index = self.draws.below(slots.len());
                self.at(slots[index])
            }
        }
    }

    fn scan(&mut self) -> Option<&'s Arc<Node<D>>> {
        let start = self.draws.below(self.view.len());
        self.scan_from(start, |_| true)
    }

    /// The first fitting node from an index on that is also `wanted`.
    fn scan_from(&self, start: usize, wanted: impl Fn(&&'s Arc<Node<D>>) -> bool) -> Option<&'s Arc<Node<D>>> {
        let count = self.view.len();
        (0..count).find_map(|i| self.member((start + i) % count).filter(&wanted))
    }

    /// The member at an index, if it fits.
    fn member(&self, index: usize) -> Option<&'s Arc<Node<D>>> {
        self.at(*self.view.members.get(index)?)
    }

    fn at(&self, slot: u32) -> Option<&'s Arc<Node<D>>> {
        self.snapshot.node_at(slot).filter(|node| self.fits(node))
    }

    /// Whether the site is to be spared the node.
    fn is_refused(&self, node: &Node<D>) -> bool {
        matches!((self.sites, self.query.site), (Some(sites), Some(site)) if sites.avoids(site, node.id()))
    }

    /// The view is as old as the snapshot, so the node itself is asked whether it is still routable.
    fn fits(&self, node: &Node<D>) -> bool {
        node.routable()
            && self.now.is_none_or(|now| !node.resting(now))
            && (node.datagrams() || !self.query.datagrams)
            && self.query.need.fits(node.http_ability())
            && !self.query.exclude_servers.contains(&node.server_key())
            && !self.query.exclude_nodes.contains(&node.id())
            && !self.is_refused(node)
    }
}

fn pin_of<D>(node: &Node<D>) -> Pin {
    Pin { slot: node.slot(), id: node.id(), exit: node.exit() }
}

/// What it costs to use a node: latency × error rate × load. Lower is better.
pub(crate) fn score<D>(node: &Node<D>) -> f32 {
    let latency = match node.weighed_latency() {
        u32::MAX => UNKNOWN_LATENCY,
        micros => (micros as f32).max(1000.0),
    };
    latency * (1.0 + 8.0 * node.error_rate()) * (1.0 + node.in_flight() as f32)
}
