//! The store as it should be: maps in memory, and changes made up at random.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use hezar_core::{
    Code, HttpAbility, LastFailure, LatencyBuckets, NodeId, Quarantine, Record, Secret, Stage, State, Timestamp,
};
use proptest::prelude::*;

use super::place::Place;
use crate::{
    AnnotationRow, BanRow, Change, Contents, DashboardKind, DashboardRow, HistoryRow, HistorySample, HistoryStep,
    NodeRow, NodeSums, SessionName, SessionRow, SiteBanRow, SourceError, SourceNodes, SourceRow,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    nodes: BTreeMap<NodeId, NodeRow>,
    sources: BTreeMap<Arc<str>, SourceRow>,
    listings: BTreeMap<Arc<str>, BTreeSet<NodeId>>,
    sessions: BTreeMap<SessionName, SessionRow>,
    bans: BTreeMap<NodeId, BanRow>,
    site_bans: BTreeMap<(Box<str>, IpAddr), SiteBanRow>,
    history: BTreeMap<(HistoryStep, Timestamp), HistoryRow>,
    annotations: BTreeMap<NodeId, AnnotationRow>,
    dashboard: BTreeMap<(DashboardKind, Box<str>), DashboardRow>,
    /// Whether older evidence does not replace newer, and what is known without measuring comes with the node alone.
    is_shared: bool,
}

impl Model {
    /// The empty model of the store at a place.
    pub(super) fn of(place: &Place) -> Self {
        Self { is_shared: place.is_shared, ..Self::default() }
    }

    fn put_node(&mut self, mut row: NodeRow) {
        let known = self.nodes.get(&row.id).filter(|_| self.is_shared).map(|known| &known.record);
        let counts = |known: &&Record| {
            row.record.last_checked < known.last_checked && known.last_checked > Some(row.record.first_seen)
        };
        if let Some(newer) = known.filter(counts) {
            let Record { first_seen, unlisted_since, .. } = row.record;
            row.record = Record { first_seen, unlisted_since, ..newer.clone() };
        }
        self.nodes.insert(row.id, row);
    }

    fn put_record(&mut self, id: NodeId, record: Record) {
        let Some(row) = self.nodes.get_mut(&id) else { return };
        if !self.is_shared {
            row.record = record;
        } else if record.last_checked >= row.record.last_checked {
            let Record { first_seen, unlisted_since, .. } = row.record;
            row.record = Record { first_seen, unlisted_since, ..record };
        }
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::PutNode(row) => self.put_node(row),
            Change::PutRecord(id, record) => self.put_record(id, record),
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
            Change::ListNode { id, sources } => {
                self.listings.values_mut().for_each(|ids| ids.retain(|listed| *listed != id));
                for source in sources {
                    self.listings.entry(source).or_default().insert(id);
                }
            }
            Change::PutSession(row) => {
                self.sessions.insert(row.name.clone(), row);
            }
            Change::RemoveSession { name, .. } => {
                self.sessions.remove(&name);
            }
            Change::PutBan(row) => {
                self.bans.insert(row.id, row);
            }
            Change::RemoveBan(id) => {
                self.bans.remove(&id);
            }
            Change::PutSiteBan(row) => {
                self.site_bans.insert((row.site.clone(), row.exit), row);
            }
            Change::RemoveSiteBan { site, exit, .. } => {
                self.site_bans.remove(&(site, exit));
            }
            Change::PutAnnotation(row) => {
                self.annotations.insert(row.id, row);
            }
            Change::RemoveAnnotation(id) => {
                self.annotations.remove(&id);
            }
            Change::PutDashboard(row) => {
                self.dashboard.insert((row.kind, row.key.clone()), row);
            }
            Change::RemoveDashboard(kind, key) => {
                self.dashboard.remove(&(kind, key));
            }
            Change::MarkUnreadable(id, since) => {
                if let Some(row) = id.parse().ok().and_then(|id| self.nodes.get_mut(&id)) {
                    row.unreadable_since = Some(since);
                }
            }
            Change::RemoveUnreadable(id) => {
                if let Ok(id) = id.parse() {
                    self.apply(&Change::RemoveNode(id));
                }
            }
            Change::PutHistory(row) => {
                self.history.insert((row.step, row.at), row);
            }
            Change::PruneHistory { step, before } => {
                self.history.retain(|(known, at), _| *known != step || *at >= before);
            }
        }
    }

    /// The rows of a step that began in `[from, to)`.
    pub(super) fn history(&self, step: HistoryStep, from: Timestamp, to: Timestamp) -> Vec<HistoryRow> {
        let fits = |row: &&HistoryRow| row.step == step && (from..to).contains(&row.at);
        self.history.values().filter(fits).cloned().collect()
    }

    pub(super) fn state(&self) -> Contents {
        let known = |ids: &BTreeSet<NodeId>| ids.iter().filter(|id| self.nodes.contains_key(id)).copied().collect();
        let listings =
            self.listings.iter().map(|(source, ids)| SourceNodes { source: Arc::clone(source), ids: known(ids) });
        Contents {
            nodes: self.nodes.values().cloned().collect(),
            sources: self.sources.values().cloned().collect(),
            listings: listings.filter(|listing| !listing.ids.is_empty()).collect(),
            sessions: self.sessions.values().cloned().collect(),
            bans: self.bans.values().cloned().collect(),
            site_bans: self.site_bans.values().cloned().collect(),
            annotations: self.annotations.values().cloned().collect(),
            dashboard: self.dashboard.values().cloned().collect(),
            strange: Vec::new(),
        }
    }
}

/// The same state in the order of [`Model::state`].
pub(super) fn sorted(mut state: Contents) -> Contents {
    state.nodes.sort_by_key(|row| row.id);
    state.sources.sort_by(|a, b| a.name.cmp(&b.name));
    state.listings.sort_by(|a, b| a.source.cmp(&b.source));
    state.sessions.sort_by(|a, b| a.name.cmp(&b.name));
    state.bans.sort_by_key(|row| row.id);
    state.site_bans.sort_by(|a, b| (&a.site, a.exit).cmp(&(&b.site, b.exit)));
    state.annotations.sort_by_key(|row| row.id);
    state.dashboard.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
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
        kept_from: None,
        unreadable_since: None,
        record: Record { first_seen: Timestamp(1_700_000_000_000 + number), ..Record::default() },
    }
}

pub(super) fn healthy(number: u64) -> Record {
    Record {
        state: State::Healthy,
        failures: 0,
        last_ok: Some(Timestamp(1_800_000_000_000)),
        last_checked: Some(Timestamp(1_800_000_000_001)),
        first_seen: Timestamp(1_700_000_000_000),
        latency: Some(Duration::from_millis(number)),
        exit_ip: "2001:db8::1".parse().ok(),
        country: Some(*b"DE"),
        ..Record::default()
    }
}

/// Few different ones: what comes from outside stays in memory.
fn code() -> impl Strategy<Value = Code> {
    "[a-z]-[a-z]".prop_map(|text| Code::from_text(&text))
}

fn record() -> impl Strategy<Value = Record> {
    let states = vec![State::New, State::Healthy, State::Suspect, State::Dead];
    let state = proptest::sample::select(states);
    let time = || 0..(1_u64 << 62);
    let times = proptest::array::uniform6(proptest::option::of(time().prop_map(Timestamp)));
    let exit = (proptest::option::of(any::<IpAddr>()), proptest::option::of("[A-Z]{2}"));
    let quarantine = proptest::option::of((code(), time()));
    let failure = proptest::option::of((proptest::sample::select(Stage::ALL.to_vec()), code()));
    let texts = (failure, proptest::option::of(code()), quarantine);
    let latency = proptest::option::of(1..100_000_000_u64);
    (state, (any::<u32>(), any::<u8>()), times, (latency, 0.0..=1.0_f32), exit, texts).prop_map(
        |(
            state,
            (failures, http_ability),
            times,
            (latency, error_rate),
            (exit_ip, country),
            (failure, reason, caught),
        )| {
            let [last_ok, last_checked, first_seen, dead_since, unlisted_since, exit_seen] = times;
            Record {
                state,
                failures,
                last_ok,
                last_checked,
                first_seen: first_seen.unwrap_or_default(),
                dead_since,
                unlisted_since,
                latency: latency.map(Duration::from_micros),
                error_rate,
                exit_ip,
                exit_seen,
                country: country.and_then(|text| text.as_bytes().try_into().ok()),
                failure: failure.map(|(stage, code)| LastFailure { stage, code }),
                http_ability: HttpAbility::from_byte(http_ability),
                unsupported: reason,
                quarantine: caught.map(|(code, at)| Quarantine { code, since: Timestamp(at) }),
            }
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
            origin: allow_private.then(|| format!("{failures:x}").into()),
            subscription: allow_private.then(|| format!("{{\"total\":{nodes}}}").into()),
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
    let exit = proptest::option::of(any::<IpAddr>());
    (0..4_u8, 0..(1_u64 << 62), exit, proptest::option::of(0..9_u64)).prop_map(|(number, began, exit_ip, node)| {
        let country = exit_ip.map(|_| *b"DE");
        let (began, ends, lasts) = (Timestamp(began), Timestamp(began + 1), Duration::from_millis(began % 977));
        SessionRow { name: session_name(number), country, began, ends, lasts, exit_ip, node: node.map(id) }
    })
}

fn history_row() -> impl Strategy<Value = HistoryRow> {
    let requests = proptest::collection::btree_map("[a-z]-[a-z]", any::<u32>(), 0..4);
    let step = proptest::sample::select(HistoryStep::ALL.to_vec());
    (step, 0..12_u64, any::<[u32; 7]>(), requests, any::<[u32; 2]>()).prop_map(
        |(step, minute, numbers, requests, [up, down])| {
            let [new, healthy, suspect, dead, unsupported, quarantined, disabled] = numbers.map(u64::from);
            let sample = HistorySample {
                samples: minute,
                nodes: NodeSums { new, healthy, suspect, dead, unsupported, quarantined, disabled },
                requests: requests.into_iter().map(|(code, number)| (code.into(), number.into())).collect(),
                up: up.into(),
                down: down.into(),
                latency: LatencyBuckets::from_counts(numbers.map(u64::from)),
            };
            HistoryRow { step, at: Timestamp(minute * 60_000), sample }
        },
    )
}

fn source_name(number: u8) -> Arc<str> {
    format!("source {number} 'q'").into()
}

/// A site and an exit, few different ones.
fn site_and_exit() -> impl Strategy<Value = (Box<str>, IpAddr)> {
    let exits = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
    (0..2_u8, proptest::sample::select(exits.to_vec())).prop_map(|(n, exit)| (format!("s{n} 'q'.example").into(), exit))
}

fn dashboard_key() -> impl Strategy<Value = (DashboardKind, Box<str>)> {
    (proptest::sample::select(DashboardKind::ALL.to_vec()), 0..3_u8)
        .prop_map(|(kind, n)| (kind, format!("key {n}").into()))
}

/// A change to one of a few nodes and sources, so that changes meet each other.
pub(super) fn change() -> impl Strategy<Value = Change> {
    let number = || 0..12_u64;
    prop_oneof![
        4 => (number(), record()).prop_map(|(n, record)| {
            let kept_from = (n % 3 == 0).then(|| source_name(1));
            Change::PutNode(NodeRow { record, kept_from, ..node(n) })
        }),
        2 => (number(), proptest::collection::btree_set(0..4_u8, 0..4)).prop_map(|(n, sources)| {
            Change::ListNode { id: id(n), sources: sources.into_iter().map(source_name).collect() }
        }),
        1 => (number(), any::<u32>()).prop_map(|(n, since)| {
            let NodeRow { id, uri, label, .. } = node(n);
            Change::PutBan(BanRow { id, uri, label, since: Timestamp(since.into()) })
        }),
        1 => number().prop_map(|n| Change::RemoveBan(id(n))),
        1 => (site_and_exit(), any::<[u32; 2]>(), "[^\0]{0,9}").prop_map(|((site, exit), [since, until], reason)| {
            let (since, until) = (Timestamp(since.into()), Timestamp(until.into()));
            Change::PutSiteBan(SiteBanRow { site, exit, since, until, reason: reason.into() })
        }),
        1 => site_and_exit().prop_map(|(site, exit)| Change::RemoveSiteBan { site, exit, until: Change::WHENEVER }),
        1 => (number(), any::<u32>(), proptest::collection::vec("[^\\s\0]{1,4}", 0..3)).prop_map(|(n, changed, tags)| {
            Change::PutAnnotation(AnnotationRow {
                id: id(n),
                uri: node(n).uri,
                disabled: changed % 2 == 0,
                pinned: changed % 3 == 0,
                tags: tags.into_iter().map(Into::into).collect(),
                note: format!("note 'n' {changed}").into(),
                changed: Timestamp(changed.into()),
            })
        }),
        1 => number().prop_map(|n| Change::RemoveAnnotation(id(n))),
        1 => (dashboard_key(), "[^\0]{0,20}").prop_map(|((kind, key), value)| {
            Change::PutDashboard(DashboardRow { kind, key, value: value.into() })
        }),
        1 => dashboard_key().prop_map(|(kind, key)| Change::RemoveDashboard(kind, key)),
        4 => (number(), record()).prop_map(|(n, record)| Change::PutRecord(id(n), record)),
        2 => number().prop_map(|n| Change::RemoveNode(id(n))),
        2 => source().prop_map(Change::PutSource),
        1 => (0..4_u8).prop_map(|n| Change::RemoveSource(source_name(n))),
        2 => session().prop_map(Change::PutSession),
        2 => history_row().prop_map(Change::PutHistory),
        1 => (proptest::sample::select(HistoryStep::ALL.to_vec()), 0..12_u64).prop_map(|(step, minute)| {
            Change::PruneHistory { step, before: Timestamp(minute * 60_000) }
        }),
        1 => (0..4_u8).prop_map(|n| Change::RemoveSession { name: session_name(n), ends: Change::WHENEVER }),
        3 => (0..4_u8, proptest::collection::vec(number(), 0..8), any::<bool>()).prop_map(|(n, ids, complete)| {
            Change::SetListing { source: source_name(n), ids: ids.into_iter().map(id).collect(), complete }
        }),
    ]
}
