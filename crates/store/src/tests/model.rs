//! The store as it should be: maps in memory, and changes made up at random.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use hezar_core::{NodeId, Secret, Timestamp};
use proptest::prelude::*;

use crate::{Change, Health, Listing, NodeRow, NodeState, SessionName, SessionRow, SourceError, SourceRow, State};

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    nodes: BTreeMap<NodeId, NodeRow>,
    sources: BTreeMap<Arc<str>, SourceRow>,
    listings: BTreeMap<Arc<str>, BTreeSet<NodeId>>,
    sessions: BTreeMap<SessionName, SessionRow>,
}

impl Model {
    pub(super) fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::PutNode(row) => {
                self.nodes.insert(row.id, row);
            }
            Change::PutHealth(id, health) => {
                if let Some(row) = self.nodes.get_mut(&id) {
                    row.health = health;
                }
            }
            Change::RemoveNode(id) => {
                self.nodes.remove(&id);
                self.listings.values_mut().for_each(|ids| ids.retain(|listed| *listed != id));
            }
            Change::PutSource(row) => {
                self.sources.insert(Arc::clone(&row.name), row);
            }
            Change::RemoveSource(name) => {
                self.sources.remove(&name);
                self.listings.remove(&name);
            }
            Change::SetListing { source, ids, complete } => {
                let listing = self.listings.entry(source).or_default();
                if complete {
                    listing.clear();
                }
                listing.extend(ids);
            }
            Change::PutSession(row) => {
                self.sessions.insert(row.name.clone(), row);
            }
            Change::RemoveSession(name) => {
                self.sessions.remove(&name);
            }
        }
    }

    pub(super) fn state(&self) -> State {
        let known = |ids: &BTreeSet<NodeId>| ids.iter().filter(|id| self.nodes.contains_key(id)).copied().collect();
        let listings =
            self.listings.iter().map(|(source, ids)| Listing { source: Arc::clone(source), ids: known(ids) });
        State {
            nodes: self.nodes.values().cloned().collect(),
            sources: self.sources.values().cloned().collect(),
            listings: listings.filter(|listing| !listing.ids.is_empty()).collect(),
            sessions: self.sessions.values().cloned().collect(),
            skipped: 0,
        }
    }
}

/// The same state in the order of [`Model::state`].
pub(super) fn sorted(mut state: State) -> State {
    state.nodes.sort_by_key(|row| row.id);
    state.sources.sort_by(|a, b| a.name.cmp(&b.name));
    state.listings.sort_by(|a, b| a.source.cmp(&b.source));
    state.sessions.sort_by(|a, b| a.name.cmp(&b.name));
    state.listings.iter_mut().for_each(|listing| listing.ids.sort());
    state
}

pub(super) fn id(number: u64) -> NodeId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

pub(super) fn node(number: u64) -> NodeRow {
    NodeRow {
        id: id(number),
        uri: Secret::new(format!("trojan://password-{number}@node-{number}.example:443?sni=cdn.example#n")),
        label: format!("node {number} 🇩🇪 'quoted\"").into(),
        health: Health { first_seen: Timestamp(1_700_000_000_000 + number), ..Health::default() },
    }
}

pub(super) fn healthy(number: u64) -> Health {
    Health {
        state: NodeState::Healthy,
        failures: 0,
        last_ok: Some(Timestamp(1_800_000_000_000)),
        last_checked: Some(Timestamp(1_800_000_000_001)),
        first_seen: Timestamp(1_700_000_000_000),
        latency: Some(Duration::from_millis(number)),
        exit_ip: "2001:db8::1".parse().ok(),
        country: Some(*b"DE"),
        last_error: None,
        unsupported: None,
        quarantine: None,
    }
}

fn health() -> impl Strategy<Value = Health> {
    let state =
        prop_oneof![Just(NodeState::New), Just(NodeState::Healthy), Just(NodeState::Suspect), Just(NodeState::Dead)];
    let time = || 0..(1_u64 << 62);
    let times = (proptest::option::of(time()), proptest::option::of(time()), time());
    let exit = (proptest::option::of(any::<std::net::IpAddr>()), proptest::option::of("[A-Z]{2}"));
    let quarantine = proptest::option::of(("[a-z-]{1,12}", time()));
    let texts = (proptest::option::of("[a-z-]{1,12}"), proptest::option::of(".{0,12}"), quarantine);
    let latency = proptest::option::of(1..100_000_u64);
    (state, any::<u32>(), times, latency, exit, texts).prop_map(
        |(
            state,
            failures,
            (last_ok, last_checked, first_seen),
            latency,
            (exit_ip, country),
            (error, reason, caught),
        )| Health {
            state,
            failures,
            last_ok: last_ok.map(Timestamp),
            last_checked: last_checked.map(Timestamp),
            first_seen: Timestamp(first_seen),
            latency: latency.map(Duration::from_millis),
            exit_ip,
            country: country.and_then(|text| text.as_bytes().try_into().ok()),
            last_error: error.map(Into::into),
            unsupported: reason.map(|text| text.replace('\0', "").into()),
            quarantine: caught.map(|(code, at)| (code.into(), Timestamp(at))),
        },
    )
}

fn source() -> impl Strategy<Value = SourceRow> {
    let times = (proptest::option::of(0..(1_u64 << 62)), proptest::option::of(0..(1_u64 << 62)));
    let error = proptest::option::of(("[a-z-]{1,9}", "[^\0]{0,20}"));
    let validators = proptest::option::of("[^\0]{0,20}");
    (0..4_u8, any::<bool>(), times, error, validators, any::<(u32, u32, u32)>()).prop_map(
        |(name, allow_private, (last_fetch, next_fetch), error, validators, (failures, nodes, rejects))| SourceRow {
            allow_private,
            last_fetch: last_fetch.map(Timestamp),
            next_fetch: next_fetch.map(Timestamp),
            validators: validators.map(Into::into),
            error: error.map(|(code, text)| SourceError { code: code.into(), text: text.into() }),
            failures,
            nodes,
            rejects,
            lived: Duration::from_millis(u64::from(nodes) * 7),
            deaths_milli: failures,
            barren: rejects,
            ..SourceRow::new(source_name(name), "url")
        },
    )
}

fn session_name(number: u8) -> SessionName {
    SessionName {
        listener: "proxy".into(),
        user: format!("user 'q' {}", number % 2).into(),
        session: number.to_string().into(),
    }
}

fn session() -> impl Strategy<Value = SessionRow> {
    let exit = proptest::option::of(any::<std::net::IpAddr>());
    (0..4_u8, 0..(1_u64 << 62), exit, proptest::option::of(0..9_u64)).prop_map(|(number, began, exit_ip, node)| {
        let country = exit_ip.map(|_| *b"DE");
        let (began, ends) = (Timestamp(began), Timestamp(began + 1));
        SessionRow { name: session_name(number), country, began, ends, exit_ip, node: node.map(id) }
    })
}

fn source_name(number: u8) -> Arc<str> {
    format!("source {number} 'q'").into()
}

/// A change to one of a few nodes and sources, so that changes meet each other.
pub(super) fn change() -> impl Strategy<Value = Change> {
    let number = || 0..12_u64;
    prop_oneof![
        4 => (number(), health()).prop_map(|(n, health)| Change::PutNode(NodeRow { health, ..node(n) })),
        4 => (number(), health()).prop_map(|(n, health)| Change::PutHealth(id(n), health)),
        2 => number().prop_map(|n| Change::RemoveNode(id(n))),
        2 => source().prop_map(Change::PutSource),
        1 => (0..4_u8).prop_map(|n| Change::RemoveSource(source_name(n))),
        2 => session().prop_map(Change::PutSession),
        1 => (0..4_u8).prop_map(|n| Change::RemoveSession(session_name(n))),
        3 => (0..4_u8, proptest::collection::vec(number(), 0..8), any::<bool>()).prop_map(|(n, ids, complete)| {
            Change::SetListing { source: source_name(n), ids: ids.into_iter().map(id).collect(), complete }
        }),
    ]
}
