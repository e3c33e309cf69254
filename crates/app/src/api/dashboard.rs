//! What dashboards of the Clash API ask.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use async_trait::async_trait;
use hezar_api::{
    ApiError, ChangedBy, DashboardConnection, DashboardInstance, DashboardNode, DashboardPool, DashboardPort,
    DashboardTest, DashboardView, ObjectsPort, Saved,
};
use hezar_core::{Group, GroupMember, State};
use hezar_pool::Node;
use hezar_probe::{LoggedProbe, ProbeResult};
use serde_json::{Map, Value};

use super::{ApiBackend, listing::rank};
use crate::{
    dashboard::{level_in_clash_words, with_level},
    nodes::Payload,
};

/// The most tests that are shown of all nodes together; each takes about 45 bytes of an answer.
const MOST_TESTS: usize = 20_000;

#[async_trait]
impl DashboardPort for ApiBackend {
    fn dashboard_pool(&self, view: &DashboardView, most: usize) -> DashboardPool {
        let snapshot = self.pool.snapshot();
        let selections = self.dashboard.groups.list();
        let is_selected = |node: &Node<Payload>| {
            selections.iter().any(|(_, member)| matches!(member, GroupMember::Node(id) if *id == node.id()))
        };
        let hasher = RandomState::new();
        let mut labels: HashMap<u64, u32> = HashMap::new();
        let mut ranked = Vec::new();
        for node in snapshot.nodes() {
            *labels.entry(hasher.hash_one(node.label().as_str())).or_default() += 1;
            if is_in(view, node) {
                let latency = node.latency().map_or(u128::MAX, |latency| latency.as_micros());
                // What is selected or in use is shown, however slow it is.
                let dispensable = (!is_selected(node), node.in_flight() == 0);
                ranked.push((dispensable, (rank(node), latency, node.id()), node));
            }
        }
        if most < ranked.len() {
            ranked.select_nth_unstable_by_key(most, |(dispensable, key, _)| (*dispensable, *key));
            ranked.truncate(most);
        }
        ranked.sort_unstable_by_key(|(_, key, _)| *key);
        let shares_label = |label: &str| labels.get(&hasher.hash_one(label)).is_some_and(|count| *count > 1);
        let tests = (MOST_TESTS / ranked.len().max(1)).clamp(1, DashboardNode::MOST_TESTS);
        let nodes = ranked.iter().map(|(.., node)| self.dashboard_node(node, shares_label, tests)).collect();
        let census = self.table.census(&snapshot);
        DashboardPool {
            nodes,
            countries: snapshot.countries().collect(),
            sources: self.table.sources(&census, &self.pool.left_out()),
            selections,
        }
    }

    fn dashboard_instance(&self) -> DashboardInstance {
        let config = self.dashboard.config();
        let names = self.listeners.configs().into_iter().map(|config| config.name.to_string());
        DashboardInstance {
            settings: config.clash.clone(),
            listeners: names.zip(self.listeners.addresses()).collect(),
            log_level: level_in_clash_words(&config.log.level.0).to_owned(),
            probe_url: config.probe.url.to_string(),
        }
    }

    async fn select(&self, group: Group, member: Option<GroupMember>) -> Result<Saved<()>, ApiError> {
        let change = self.dashboard.select(&self.pool, &group, member.clone())?;
        let member = member.map(|member| member.to_string());
        tracing::info!(%group, member, "selected by a dashboard");
        Ok(Saved { done: (), stored: self.table.save(vec![change]).await? })
    }

    async fn set_log_level(&self, by: &ChangedBy, level: &str) -> Result<(), ApiError> {
        let filter = with_level(&self.dashboard.config().log.level.0, level);
        let values = Map::from_iter([("log.level".to_owned(), Value::from(filter))]);
        self.change_settings(by, values).await.map(|_| ())
    }

    fn dashboard_connections(&self) -> Vec<DashboardConnection> {
        let all = self.connections.list(0, usize::MAX).into_iter();
        all.map(|info| DashboardConnection {
            id: info.id,
            listener: info.listener,
            inbound: info.inbound,
            client: info.client,
            user: info.user,
            target: info.target,
            since: info.since,
            node: info.node,
            exit: info.exit,
            up: info.up,
            down: info.down,
        })
        .collect()
    }

    fn resident_memory(&self) -> u64 {
        resident_memory().unwrap_or_default()
    }

    fn stored_value(&self, key: &str) -> Option<Arc<str>> {
        self.dashboard.value(key)
    }

    async fn store_value(&self, key: &str, value: Option<Arc<str>>) -> Result<Saved<()>, ApiError> {
        let change = self.dashboard.set_value(key, value)?;
        Ok(Saved { done: (), stored: self.table.save(vec![change]).await? })
    }
}

impl ApiBackend {
    /// A node with as many of its last tests as are wanted.
    fn dashboard_node(
        &self,
        node: &Node<Payload>,
        shares_label: impl Fn(&str) -> bool,
        most_tests: usize,
    ) -> DashboardNode {
        let (label, record, alive) = (node.label(), node.record(), node.routable());
        let probes = self.prober.log().of_node(node.id());
        let mut tests: Vec<DashboardTest> = probes.iter().filter_map(dashboard_test).take(most_tests).collect();
        tests.reverse();
        // Of the time before this process only the last evidence is known.
        if tests.is_empty() {
            let latency = record.latency.filter(|_| alive);
            tests.extend(record.last_checked.map(|at| DashboardTest { at, latency }));
        }
        DashboardNode {
            id: node.id(),
            shares_label: shares_label(label.as_str()),
            label: label.as_str().to_owned(),
            scheme: node.spec().scheme(),
            alive,
            datagrams: node.datagrams(),
            tests,
            country: record.country,
            sources: node.sources().into_iter().map(|listing| listing.source).collect(),
        }
    }
}

/// A probe as a test; `None` for one that says nothing of the node.
const fn dashboard_test(probe: &LoggedProbe) -> Option<DashboardTest> {
    let latency = match probe.result {
        ProbeResult::Works(latency) => Some(latency),
        ProbeResult::Failed { .. } | ProbeResult::Tampered(_) => None,
        ProbeResult::Inconclusive(_) | ProbeResult::Panicked | ProbeResult::Unsupported(_) | ProbeResult::Gone => {
            return None;
        }
    };
    Some(DashboardTest { at: probe.at, latency })
}

/// Whether a view shows a node.
fn is_in(view: &DashboardView, node: &Node<Payload>) -> bool {
    match view {
        DashboardView::Best | DashboardView::All => true,
        DashboardView::Healthy => node.routable() && node.state() == State::Healthy,
        DashboardView::Country(country) => node.country() == Some(*country),
        DashboardView::Source(source) => node.listed_by(source),
    }
}

/// The resident memory of this process, as Linux says it (proc(5), VmRSS in kB).
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
