//! What dashboards of the Clash API ask.

use std::{
    cmp::Reverse,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use async_trait::async_trait;
use hezar_api::{ApiError, DashboardConnection, DashboardInstance, DashboardNode, DashboardPool, DashboardPort, Saved};
use hezar_core::{Group, GroupMember, State};
use hezar_pool::Node;

use super::ApiBackend;
use crate::{dashboard::level_in_clash_words, nodes::Payload};

#[async_trait]
impl DashboardPort for ApiBackend {
    fn dashboard_pool(&self, most: usize) -> DashboardPool {
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
            let latency = node.latency().map_or(u128::MAX, |latency| latency.as_micros());
            ranked.push(((Reverse(is_selected(node)), rank(node), latency, node.id()), node));
        }
        let total = ranked.len();
        if most < total {
            ranked.select_nth_unstable_by_key(most, |(key, _)| *key);
            ranked.truncate(most);
        }
        ranked.sort_unstable_by_key(|(key, _)| *key);
        let shares_label = |label: &str| labels.get(&hasher.hash_one(label)).is_some_and(|count| *count > 1);
        let nodes = ranked.iter().map(|(_, node)| dashboard_node(node, shares_label)).collect();
        let census = self.table.census(&snapshot);
        DashboardPool {
            nodes,
            total,
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

/// The better, the smaller. A node that is in use or works is in front of all others.
fn rank(node: &Node<Payload>) -> u8 {
    if node.unsupported().is_some() || node.quarantine().is_some() {
        return 4;
    }
    match node.state() {
        State::Healthy => 0,
        _ if node.in_flight() > 0 => 0,
        State::Suspect => 1,
        State::New => 2,
        State::Dead => 3,
    }
}

fn dashboard_node(node: &Node<Payload>, shares_label: impl Fn(&str) -> bool) -> DashboardNode {
    let (label, record) = (node.label(), node.record());
    DashboardNode {
        id: node.id(),
        shares_label: shares_label(label.as_str()),
        label: label.as_str().to_owned(),
        scheme: node.spec().scheme(),
        alive: node.routable(),
        datagrams: node.datagrams(),
        checked: record.last_checked,
        latency: record.latency,
        country: record.country,
        sources: node.sources().into_iter().map(|listing| listing.source).collect(),
    }
}

/// The resident memory of this process, as Linux says it (proc(5), VmRSS in kB).
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
