//! What a pick would choose among, and why it leaves the others out: for people who ask, not for picking.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use hezar_core::{ExitKey, NodeId};

use super::Pool;
use crate::{Node, Query, index::ViewKey, node::Class, pick::score};

/// A node that fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Which one.
    pub node: NodeId,
    /// What it costs to use it by the smart strategy: latency in µs × error rate × load. Lower is better.
    pub score: f32,
}

/// Nodes that are left out for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    /// How many.
    pub count: usize,
    /// The first few of them.
    pub examples: Vec<NodeId>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// All the nodes.
    pub nodes: usize,
    /// Those that fit.
    pub fitting: usize,
    /// The exits behind them.
    pub exits: usize,
    /// The best of them, the best one first.
    pub candidates: Vec<Candidate>,
    /// The others: `new`, `dead`, `unsupported`, `quarantined`, `datagrams` (it carries none),
    /// `http-ability` (an HTTP proxy that carries no such request), `transparent` (it would tell our address), `anonymity`
    /// (it gives away more than asked for, or that is not known), `asn`, `city`, `country`, `filter`, `site` or `tried`, the first reason that holds.
    pub excluded: BTreeMap<&'static str, Excluded>,
    /// The node that the query's session is pinned to, and whether it fits.
    pub pinned: Option<(NodeId, bool)>,
}

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Explains a query by looking at every node; `most` bounds the candidates and the examples.
    #[must_use]
    pub fn explain(&self, query: &Query<'_>, most: usize) -> Explanation {
        let snapshot = self.snapshot();
        let filter = query.filter.and_then(|id| self.index.lock().filter(id).cloned());
        let top: Option<Vec<u32>> = filter.as_ref().and_then(|filter| filter.top).map(|_| {
            let view = snapshot.view(ViewKey { country: None, ..query.view() });
            view.map_or_else(Vec::new, |view| view.members.iter().copied().collect())
        });
        let reason = |node: &Node<D>| match node.class() {
            Class::Disabled => Some("disabled"),
            Class::Unsupported => Some("unsupported"),
            Class::Quarantined => Some("quarantined"),
            Class::Ordinary(state) if !state.routable() => Some(state.name()),
            _ if query.datagrams && !node.datagrams() => Some("datagrams"),
            _ if !query.need.allowing_transparent().fits(node.http_ability()) => Some("http-ability"),
            _ if !query.need.fits(node.http_ability()) => Some("transparent"),
            _ if query.anonymity.is_some_and(|least| !least.is_met_by(node.anonymity())) => Some("anonymity"),
            _ if query.asn.is_some() && node.asn() != query.asn => Some("asn"),
            _ if query.city.is_some() && node.city() != query.city => Some("city"),
            _ if query.country.is_some_and(|country| node.country() != Some(country)) => Some("country"),
            _ if query.filter.is_some() && filter.as_ref().is_none_or(|filter| !filter.fits(node)) => Some("filter"),
            _ if top.as_ref().is_some_and(|top| !top.contains(&node.slot())) => Some("filter"),
            _ if query.site.is_some_and(|site| self.sites.avoids(site, node.id())) => Some("site"),
            _ if query.site.is_some_and(|site| self.sites.bans.contains(site, node.exit(), query.now)) => Some("site"),
            _ if query.exclude_nodes.contains(&node.id()) => Some("tried"),
            _ if query.exclude_servers.contains(&node.server_key()) => Some("tried"),
            _ => None,
        };
        let mut told = Explanation::default();
        let (mut fitting, mut exits): (Vec<&Arc<Node<D>>>, HashSet<ExitKey>) = Default::default();
        for node in snapshot.nodes() {
            told.nodes += 1;
            let Some(reason) = reason(node) else {
                fitting.push(node);
                exits.insert(node.exit());
                continue;
            };
            let excluded = told.excluded.entry(reason).or_default();
            excluded.count += 1;
            if excluded.examples.len() < most {
                excluded.examples.push(node.id());
            }
        }
        (told.fitting, told.exits) = (fitting.len(), exits.len());
        told.candidates = fitting.iter().map(|node| Candidate { node: node.id(), score: score(node) }).collect();
        told.candidates.sort_by(|a, b| a.score.total_cmp(&b.score));
        told.candidates.truncate(most);
        told.pinned = query
            .session
            .and_then(|session| self.pinned(session))
            .map(|pinned| (pinned.node, fitting.iter().any(|node| node.id() == pinned.node)));
        told
    }
}
