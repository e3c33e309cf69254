//! What dashboards of the Clash API ask beyond what the other ports answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::{Country, Group, GroupMember, NodeId, SourceName, Target, Timestamp};

use crate::{ApiError, ChangedBy, ClashSettings, Saved, SourceDto};

/// The part of the pool that a dashboard is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DashboardView {
    /// The best nodes, as many as `clash.nodes` says.
    #[default]
    Best,
    /// All nodes.
    All,
    /// The nodes that work.
    Healthy,
    /// The nodes with an exit in a country.
    Country(Country),
    /// The nodes that a source lists.
    Source(SourceName),
}

/// One test of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DashboardTest {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took; absent = it failed.
    pub latency: Option<Duration>,
}

/// A node as a dashboard shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DashboardNode {
    /// The identity.
    pub id: NodeId,
    /// The published name.
    pub label: String,
    /// Whether another node of the pool has the same label.
    pub shares_label: bool,
    /// The link scheme.
    pub scheme: &'static str,
    /// Whether it may carry traffic.
    pub alive: bool,
    /// Whether its protocol carries datagrams.
    pub datagrams: bool,
    /// Its last tests, at most [`DashboardNode::MOST_TESTS`] of them, the newest one at the end.
    pub tests: Vec<DashboardTest>,
    /// The country of its exit.
    pub country: Option<Country>,
    /// The sources that list it.
    pub sources: Vec<SourceName>,
}

impl DashboardNode {
    /// The most tests that are shown of a node, as mihomo does.
    pub const MOST_TESTS: usize = 10;
}

/// The pool as a dashboard shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DashboardPool {
    /// The selected nodes, then the best ones.
    pub nodes: Vec<DashboardNode>,
    /// The countries of the exits of nodes that may carry traffic, with their numbers.
    pub countries: Vec<(Country, usize)>,
    /// The sources.
    pub sources: Vec<SourceDto>,
    /// What is selected in each group.
    pub selections: Vec<(Group, GroupMember)>,
}

/// What the instance says of itself to dashboards.
#[derive(Clone, Debug)]
pub struct DashboardInstance {
    /// The settings of the Clash API.
    pub settings: ClashSettings,
    /// The names and addresses of the listeners, the first one in front.
    pub listeners: Vec<(String, SocketAddr)>,
    /// How much is logged: `error`, `warning`, `info`, `debug` or `silent`.
    pub log_level: String,
    /// What every node is asked for in a probe.
    pub probe_url: String,
}

/// A request, tunnel or association that is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct DashboardConnection {
    /// Its number, which no other connection of this process has.
    pub id: u64,
    /// The listener that the client came to.
    pub listener: Arc<str>,
    /// How it came in: `http`, `connect`, `socks4`, `socks5` or `socks5-udp`; at an encrypted listener its protocol, such as `vless`, with `-udp` for datagrams.
    pub inbound: &'static str,
    /// The address of the client.
    pub client: std::net::IpAddr,
    /// The user; empty when the client gave no name.
    pub user: Box<str>,
    /// Where it goes; absent for an association.
    pub target: Option<Target>,
    /// When the request came.
    pub since: Timestamp,
    /// The node that serves it.
    pub node: Option<NodeId>,
    /// The exit address of the node.
    pub exit: Option<std::net::IpAddr>,
    /// Bytes from the client so far.
    pub up: u64,
    /// Bytes to the client so far.
    pub down: u64,
}

/// What dashboards of the Clash API ask beyond what the other ports answer.
#[async_trait]
pub trait DashboardPort: Send + Sync + 'static {
    /// The pool with the nodes of a view, at most `most` of them. It walks over all nodes.
    fn dashboard_pool(&self, view: &DashboardView, most: usize) -> DashboardPool;

    /// What the instance says of itself.
    fn dashboard_instance(&self) -> DashboardInstance;

    /// Selects a member of a group for every request from now on (`None`: the whole group again), and waits a moment until
    /// that is in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the group does not hold the member, and those of [`NodesPort::add`](super::NodesPort::add).
    async fn select(&self, group: Group, member: Option<GroupMember>) -> Result<Saved<()>, ApiError>;

    /// Changes how much is logged, by one of the words of [`DashboardInstance::log_level`] or `silent`. A filter for single modules
    /// stays.
    ///
    /// # Errors
    /// Those of [`ObjectsPort::change_settings`](super::ObjectsPort::change_settings).
    async fn set_log_level(&self, by: &ChangedBy, level: &str) -> Result<(), ApiError>;

    /// Everything that is alive.
    fn dashboard_connections(&self) -> Vec<DashboardConnection>;

    /// Memory of this process, in bytes; 0 where the system does not say it.
    fn resident_memory(&self) -> u64;

    /// The JSON that a dashboard has stored under a key.
    fn stored_value(&self, key: &str) -> Option<Arc<str>>;

    /// Stores JSON under a key, or removes it, and waits a moment until that is on the disk.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when there are too many keys, and those of [`NodesPort::add`](super::NodesPort::add).
    async fn store_value(&self, key: &str, value: Option<Arc<str>>) -> Result<Saved<()>, ApiError>;
}
