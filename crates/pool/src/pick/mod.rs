//! Choosing one node of a view: a bounded number of draws, then a bounded scan, so that a node that fits is found
//! whenever there is one.

mod pinned;
mod scan;
mod strategy;

use std::sync::Arc;

use hezar_core::{ExitKey, NodeId, SessionKey, SiteKey, Timestamp};

use crate::{
    Node, Query, Snapshot,
    exit_throughput::ExitThroughputs,
    hash::{SplitMix64, mix},
    index::{View, ViewKey},
    rare_fits::RareFits,
    servers::ServerTable,
    sessions::SessionTable,
    sites::SiteTable,
};

/// SplitMix64 before a scan.
const DRAWS: usize = 16;
/// Nodes that may have lost their trial to somebody else before circuits are not looked at any more.
const TRIALS: usize = 4;
/// Exits that a session may have besides its first one at a site that refuses that.
const OTHER_EXITS: u32 = 8;
/// The latency assumed for a node that was never measured, in µs.
const UNKNOWN_LATENCY: f32 = 1e6;

/// What was learned beside the nodes themselves, which a pick looks at.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'s> {
    pub(crate) sites: &'s SiteTable,
    pub(crate) servers: &'s ServerTable,
    pub(crate) exits: &'s ExitThroughputs,
    pub(crate) rare: &'s RareFits,
}

impl Tables<'_> {
    /// The throughput of a node, or of its exit while the node itself has moved little.
    pub(crate) fn throughput<D>(&self, node: &Node<D>) -> Option<f32> {
        node.throughput().or_else(|| self.exits.get(node.exit()))
    }
}

/// Picks a node for a query.
pub(crate) fn pick<'s, D>(
    snapshot: &'s Snapshot<D>,
    query: &Query<'_>,
    seed: u64,
    sessions: &SessionTable,
    tables: Tables<'s>,
) -> Option<&'s Arc<Node<D>>> {
    let view = snapshot.view(query.view())?;
    let (rng, now) = (SplitMix64::new(seed), query.now);
    let mut choice = Choice { snapshot, view, query, tables, asks_sites: true, hopeless: false, rng, now };
    let node = choice.admitted(seed, sessions);
    if node.is_some() || query.site.is_none() || choice.hopeless {
        return node;
    }
    // The site refuses every node that is left: one of them is still better than none.
    (choice.asks_sites, choice.now) = (false, query.now);
    choice.admitted(seed, sessions)
}

/// Whether this very node fits a query, and its circuit and its server's let the request through.
pub(crate) fn admits<D>(snapshot: &Snapshot<D>, query: &Query<'_>, tables: Tables<'_>, node: &Arc<Node<D>>) -> bool {
    let Some(view) = snapshot.view(query.view()) else { return false };
    let (rng, now) = (SplitMix64::new(0), query.now);
    let choice = Choice { snapshot, view, query, tables, asks_sites: true, hopeless: false, rng, now };
    choice.belongs(node) && choice.fits(node) && now.is_none_or(|now| choice.admits(node, now))
}

/// A node for a session that is to come out elsewhere: not behind `exit` if there is any other.
pub(crate) fn pick_elsewhere<'s, D>(
    snapshot: &'s Snapshot<D>,
    query: &Query<'_>,
    seed: u64,
    exit: Option<ExitKey>,
    tables: Tables<'s>,
) -> Option<&'s Arc<Node<D>>> {
    let view = snapshot.view(query.view())?;
    if view.len() == 0 {
        return None;
    }
    let rng = SplitMix64::new(seed);
    let mut choice = Choice { snapshot, view, query, tables, asks_sites: false, hopeless: false, rng, now: None };
    let elsewhere = |node: &&'s Arc<Node<D>>| Some(node.exit()) != exit;
    let drawn = (0..DRAWS).find_map(|_| choice.draw_once().filter(elsewhere));
    drawn.or_else(|| choice.scan_near(0, view.len(), elsewhere)).or_else(|| choice.draw())
}

/// The keys under which a session has its exits for a site: the usual one, then those that follow when it is refused.
pub(crate) fn keys_at(session: SessionKey, site: SiteKey) -> impl Iterator<Item = SessionKey> {
    std::iter::successors(Some(session), move |key| Some(other_key(*key, site))).take(OTHER_EXITS as usize + 1)
}

/// The key of the exit that a session has at a site that refuses the one of this key.
const fn other_key(session: SessionKey, site: SiteKey) -> SessionKey {
    SessionKey(mix(session.0 ^ mix(site.0)))
}

/// The first `most` nodes behind an exit.
pub(crate) fn behind<D>(snapshot: &Snapshot<D>, exit: ExitKey, most: usize) -> impl Iterator<Item = NodeId> {
    let slots = snapshot.view(Query::default().view()).map_or(&[][..], |view| view.exits.nodes_behind(exit));
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
    tables: Tables<'s>,
    /// Whether what sites refuse is looked at; not when nothing else is left.
    asks_sites: bool,
    /// Whether a scan has shown that no node fits, even if circuits and sites are not looked at.
    hopeless: bool,
    rng: SplitMix64,
    /// The time by which circuits are looked at, if they are.
    now: Option<Timestamp>,
}

impl<'s, D> Choice<'s, '_, D> {
    /// A node whose circuit lets this request through, or, when all of them rest, one that rests.
    fn admitted(&mut self, seed: u64, sessions: &SessionTable) -> Option<&'s Arc<Node<D>>> {
        for _ in 0..TRIALS {
            let Some(node) = self.once(seed, sessions) else { break };
            // Somebody else may have taken the trial of a node whose rest is over.
            if self.now.is_none_or(|now| self.admits(node, now)) {
                return Some(node);
            }
        }
        if self.hopeless {
            return None;
        }
        self.now = None;
        self.once(seed, sessions)
    }

    fn once(&mut self, seed: u64, sessions: &SessionTable) -> Option<&'s Arc<Node<D>>> {
        match self.query.session {
            Some(session) => self.pinned(session, sessions),
            None => self.by_strategy(seed),
        }
    }

    /// Whether the circuits of the node and of its server let this request through.
    fn admits(&self, node: &Node<D>, now: Timestamp) -> bool {
        self.tables.servers.admit(node, now) && node.admit(now)
    }

    /// Whether the node, or its server, is to be left alone for a moment.
    fn rests(&self, node: &Node<D>) -> bool {
        self.now.is_some_and(|now| node.resting(now) || self.tables.servers.is_resting(node, now))
    }

    /// Whether the site is to be spared the node.
    fn is_refused(&self, node: &Node<D>) -> bool {
        let Some(site) = self.query.site.filter(|_| self.asks_sites) else { return false };
        let sites = self.tables.sites;
        sites.avoids(site, node.id()) || sites.bans.contains(site, node.exit(), self.query.now)
    }

    /// Whether its exit is in the network and the city that were asked for.
    fn is_where_asked(&self, node: &Node<D>) -> bool {
        (self.query.asn.is_none() || node.asn() == self.query.asn)
            && (self.query.city.is_none() || node.city() == self.query.city)
    }

    fn fits(&self, node: &Node<D>) -> bool {
        self.fits_but_now(node) && self.is_free(node)
    }

    /// Whether neither a circuit nor the site is in the way of a node that fits otherwise.
    fn is_free(&self, node: &Node<D>) -> bool {
        !self.rests(node) && !self.is_refused(node)
    }

    /// Whether the node fits when circuits and sites are not looked at. The view is as old as the snapshot, so the node itself is asked
    /// whether it is still routable.
    fn fits_but_now(&self, node: &Node<D>) -> bool {
        node.routable()
            && (node.datagrams() || !self.query.datagrams)
            && (!self.query.onion_service || node.spec().reaches_onion_services())
            && self.query.need.fits(node.http_ability())
            && self.is_where_asked(node)
            && self.query.anonymity.is_none_or(|least| least.is_met_by(node.anonymity()))
            && !self.query.exclude_servers.contains(&node.server_key())
            && !self.query.exclude_nodes.contains(&node.id())
    }
}

/// What it costs to use a node: latency × error rate × load. Lower is better.
pub(crate) fn score<D>(node: &Node<D>) -> f32 {
    score_with_transfer(node, 0.0)
}

/// The same for a request whose bytes take so many µs to move: they count as the latency does.
fn score_with_transfer<D>(node: &Node<D>, transfer_micros: f32) -> f32 {
    let latency = match node.weighed_latency() {
        u32::MAX => UNKNOWN_LATENCY,
        micros => (micros as f32).max(1000.0),
    };
    (latency + transfer_micros) * (1.0 + 8.0 * node.error_rate()) * (1.0 + node.in_flight() as f32)
}
