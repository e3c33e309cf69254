//! Chooses the node for the next attempt, and says why there is none.

use hezar_core::{Country, Fault, Host, NodeId, SessionKey};
use hezar_pool::{FilterId, Need, Query};

use super::{Failover, NodeLease};
use crate::{Refusal, groups::Selected};

/// So many nodes have to report that a target cannot be reached before that is believed.
const TARGET_OPINIONS: u32 = 2;
/// As many for a target that was reached a moment ago: nodes that cannot reach it may be at fault themselves.
const DOUBTED_OPINIONS: u32 = 8;

impl Failover {
    /// A node for the next attempt, in the first country that has one.
    pub(super) fn pick(&mut self) -> Option<NodeLease> {
        let used_up = self.attempts >= self.config.attempts
            || self.target_faults >= self.required_target_faults()
            || self.remaining().is_zero();
        if used_up {
            return None;
        }
        if let Some(lease) = self.pick_selected() {
            return Some(lease);
        }
        if self.is_held_to_selection() {
            return None;
        }
        if self.countries.is_empty() {
            return self.pick_in(None);
        }
        (0..self.countries.len()).find_map(|index| self.pick_in(self.countries.get(index).copied()))
    }

    /// A node that a person has selected for such requests; `None` when nothing is selected, or the selected node is tried
    /// already or does not fit. A session keeps its exit whatever is selected.
    fn pick_selected(&self) -> Option<NodeLease> {
        let groups = &self.selection.groups;
        if self.sticky.is_session() || groups.is_empty() {
            return None;
        }
        if self.countries.is_empty() {
            return self.pick_of(None, &groups.selected_in_pool());
        }
        self.countries.iter().find_map(|country| self.pick_of(Some(*country), &groups.selected_in_country(*country)))
    }

    fn pick_of(&self, asked: Option<Country>, selected: &Selected) -> Option<NodeLease> {
        let country = asked.or(selected.country);
        let node = selected.node.and_then(|node| self.pick_node(node, country));
        node.or_else(|| selected.is_part().then(|| self.pick_part(country, selected.filter)).flatten())
    }

    /// A node of the part of the pool that is selected. A listener that has a part of its own keeps to that.
    fn pick_part(&self, country: Option<Country>, filter: Option<FilterId>) -> Option<NodeLease> {
        match (filter, self.config.filter) {
            (Some(_), Some(_)) => None,
            (selected, own) => self.pick_filtered(self.need, country, None, selected.or(own)),
        }
    }

    /// This very node, if it is fit for the request and was not tried.
    fn pick_node(&self, node: NodeId, country: Option<Country>) -> Option<NodeLease> {
        let tried: Vec<_> = self.tried.iter().map(|tried| tried.node).collect();
        // A node that rests after a failure is asked all the same where there is no other one to ask.
        let now = (!self.selection.groups.is_strict()).then(|| self.selection.clock.now());
        let query = Query {
            country,
            exclude_nodes: &tried,
            datagrams: self.target.is_none(),
            onion_service: self.is_onion_service(),
            need: self.need,
            anonymity: self.anonymity,
            asn: self.asn,
            city: self.city,
            filter: self.config.filter,
            site: self.keys.site,
            now,
            ..Query::default()
        };
        self.selection.pool.pick_node(node, &query)
    }

    /// Whether the request may leave through nothing but what is selected.
    fn is_held_to_selection(&self) -> bool {
        let groups = &self.selection.groups;
        if !groups.is_strict() || self.sticky.is_session() || groups.is_empty() {
            return false;
        }
        match self.countries.as_slice() {
            [] => groups.selected_in_pool().is_any(),
            countries => countries.iter().any(|country| groups.selected_in_country(*country).is_any()),
        }
    }

    fn pick_in(&mut self, country: Option<Country>) -> Option<NodeLease> {
        let lease = self.pick_for(self.need, country, self.sticky.key_in(country))?;
        if self.sticky.begin_session(&self.selection, country) {
            return Some(lease);
        }
        self.pick_for(self.need, country, self.sticky.key_in(country))
    }

    /// A node on a server not tried yet, or, when there is none, at least a node not tried yet.
    pub(super) fn pick_for(
        &self,
        need: Need,
        country: Option<Country>,
        session: Option<SessionKey>,
    ) -> Option<NodeLease> {
        self.pick_filtered(need, country, session, self.config.filter)
    }

    fn pick_filtered(
        &self,
        need: Need,
        country: Option<Country>,
        session: Option<SessionKey>,
        filter: Option<FilterId>,
    ) -> Option<NodeLease> {
        let nodes: Vec<_> = self.tried.iter().map(|tried| tried.node).collect();
        let servers: Vec<_> = self.tried.iter().filter_map(|tried| tried.server).collect();
        let query = Query {
            strategy: self.strategy,
            country,
            exclude_servers: &servers,
            exclude_nodes: &nodes,
            datagrams: self.target.is_none(),
            onion_service: self.is_onion_service(),
            need,
            anonymity: self.anonymity,
            asn: self.asn,
            city: self.city,
            // An onion service sees no exit: the session keeps the one that it has.
            session: session.filter(|_| !self.is_onion_service()),
            filter,
            site: self.keys.site,
            now: Some(self.selection.clock.now()),
            expected_bytes: self.selection.transfer_sizes.expected(self.keys.user),
            prefer_recent_success: self.attempts > 0,
        };
        let other_server = self.selection.pool.pick(&query, rand::random());
        if other_server.is_some() || servers.is_empty() {
            return other_server;
        }
        self.selection.pool.pick(&Query { exclude_servers: &[], ..query }, rand::random())
    }

    /// Why the request ends here, after the last failure.
    pub(crate) fn refusal(&self) -> Refusal {
        let attempts = self.attempts;
        match &self.last {
            Some(last) if last.fault == Fault::Target => Refusal::Target(last.clone()),
            _ if self.remaining().is_zero() => Refusal::Deadline { attempts },
            Some(last) => Refusal::AllFailed { attempts, last: last.clone() },
            None if self.selection.pool.snapshot().counts().routable() == 0 => {
                Refusal::PoolEmpty { why: self.selection.explanation.current() }
            }
            None if self.is_held_to_selection() => Refusal::NoMatch,
            None if self.only_transparent_left() => Refusal::OnlyTransparent,
            None if self.has_filters() => Refusal::NoMatch,
            None if self.is_onion_service() => Refusal::NoOnion,
            None if self.lacks_datagrams() => Refusal::NoDatagrams,
            None if self.lacks_carrier() => Refusal::NotCarried,
            None => Refusal::PoolEmpty { why: self.selection.explanation.current() },
        }
    }

    /// Whether the target is an onion service, which no other node than a Tor circuit can reach (RFC 7686).
    fn is_onion_service(&self) -> bool {
        self.target.as_ref().is_some_and(|target| match target.host() {
            // Names are in lower case, without a final dot.
            Host::Name(name) => name.as_str().ends_with(".onion"),
            Host::Ip(_) => false,
        })
    }

    /// Whether the listener or the user name leave nodes out.
    fn has_filters(&self) -> bool {
        let is_somewhere = !self.countries.is_empty() || self.asn.is_some() || self.city.is_some();
        is_somewhere || self.anonymity.is_some() || self.config.filter.is_some()
    }

    /// Whether there is a node for the request if it may tell our address.
    fn only_transparent_left(&self) -> bool {
        let need = self.need.allowing_transparent();
        let is_found = |country| self.pick_for(need, country, None).is_some();
        if need == self.need {
            return false;
        }
        match self.countries.as_slice() {
            [] => is_found(None),
            countries => countries.iter().any(|country| is_found(Some(*country))),
        }
    }

    /// Whether nodes are routable and none of them carries such a request.
    fn lacks_carrier(&self) -> bool {
        self.need != Need::Anything && self.selection.pool.snapshot().counts().routable() > 0
    }

    /// How many nodes may say that the target cannot be reached before they are believed.
    fn required_target_faults(&self) -> u32 {
        let reached =
            self.keys.target.is_some_and(|key| self.selection.recent_targets.contains(key, self.selection.clock.now()));
        if reached { DOUBTED_OPINIONS } else { TARGET_OPINIONS }
    }
}
