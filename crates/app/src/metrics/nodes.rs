//! The metrics of single nodes, as `/metrics/nodes` shows them: those that are used most, a bounded number of them.

use std::{cmp::Reverse, collections::HashMap, fmt, sync::Arc};

use hezar_core::NodeId;
use hezar_gateway::{Connections, NodeTraffic};
use hezar_pool::Node;
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::nodes::{Nodes, Payload, state_name};

/// The most characters of a node's name in a label.
const MAX_NAME: usize = 40;

/// Makes the metrics of the nodes that are used most.
pub(crate) struct NodeMetrics {
    pool: Arc<Nodes>,
    connections: Arc<Connections>,
    /// What was told last, so that a counter never falls.
    told: Mutex<HashMap<NodeId, NodeTraffic>>,
}

impl NodeMetrics {
    pub(crate) fn new(pool: Arc<Nodes>, connections: Arc<Connections>) -> Self {
        Self { pool, connections, told: Mutex::default() }
    }

    /// The text of at most `most` nodes: those with the most requests since the start, then others that carry traffic.
    ///
    /// The work grows with the nodes that have served requests, of which at most 262,144 are remembered, not with those of the pool.
    pub(crate) fn text(&self, most: usize) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(NodeCollector(self.rows(most))));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }

    fn rows(&self, most: usize) -> Vec<NodeRow> {
        let mut traffic = self.connections.traffic_by_node();
        let mut told = self.told.lock();
        for (id, before) in told.iter() {
            // A connection that ends while the counters are read may be missing for a moment.
            let now = traffic.entry(*id).or_default();
            *now = later(*now, *before);
        }
        let mut rows = self.most_used(&traffic, most);
        let missing = most.saturating_sub(rows.len());
        let unused = self.pool.snapshot();
        let unused = unused.routable().filter(|node| !traffic.contains_key(&node.id())).take(missing);
        rows.extend(unused.map(|node| NodeRow::new(node, NodeTraffic::default())));
        *told = rows.iter().map(|row| (row.id, row.traffic)).collect();
        rows
    }

    /// The nodes of the pool with the most requests; of two that are equal the one with the smaller id.
    fn most_used(&self, traffic: &HashMap<NodeId, NodeTraffic>, most: usize) -> Vec<NodeRow> {
        let mut used: Vec<_> = traffic.iter().map(|(id, traffic)| (Reverse(traffic.requests), *id)).collect();
        // Nodes that left the pool are among them: a few more than are shown are looked at.
        let looked_at = most.saturating_mul(2);
        if looked_at < used.len() {
            used.select_nth_unstable(looked_at);
            used.truncate(looked_at);
        }
        used.sort_unstable();
        let row = |id| Some(NodeRow::new(&*self.pool.node(id)?, traffic.get(&id).copied().unwrap_or_default()));
        used.into_iter().filter_map(|(_, id)| row(id)).take(most).collect()
    }
}

/// The larger of two readings of counters that only grow.
fn later(one: NodeTraffic, other: NodeTraffic) -> NodeTraffic {
    NodeTraffic { requests: one.requests.max(other.requests), up: one.up.max(other.up), down: one.down.max(other.down) }
}

/// What is told of one node.
#[derive(Debug)]
struct NodeRow {
    id: NodeId,
    /// The id as a label.
    label: String,
    name: String,
    scheme: &'static str,
    country: String,
    state: &'static str,
    up: bool,
    latency: Option<f64>,
    failures: Option<f64>,
    in_flight: u32,
    traffic: NodeTraffic,
}

impl NodeRow {
    fn new(node: &Node<Payload>, traffic: NodeTraffic) -> Self {
        let record = node.record();
        Self {
            id: node.id(),
            label: node.id().to_string(),
            name: node.label().as_str().chars().take(MAX_NAME).collect(),
            scheme: node.spec().scheme(),
            country: record.country.map(|code| String::from_utf8_lossy(&code).into_owned()).unwrap_or_default(),
            state: state_name(node),
            up: node.routable(),
            latency: record.latency.map(|latency| latency.as_secs_f64()),
            failures: record.last_checked.map(|_| f64::from(record.error_rate)),
            in_flight: node.in_flight(),
            traffic,
        }
    }
}

#[derive(Debug)]
struct NodeCollector(Vec<NodeRow>);

/// What one family says of a node; `None`: nothing.
type Reading = fn(&NodeRow) -> Option<f64>;

/// The gauges of a node, each with the label `node`.
const NODE_GAUGES: [(&str, &str, Reading); 4] = [
    ("hezar_node_up", "1 while a node may carry traffic", |row| Some(f64::from(u8::from(row.up)))),
    ("hezar_node_latency_seconds", "Moving average of the latency of a node", |row| row.latency),
    ("hezar_node_failure_ratio", "Moving average of the failures among checks and requests, 0 to 1", |row| {
        row.failures
    }),
    ("hezar_node_in_flight", "Requests, tunnels and probes over a node now", |row| Some(f64::from(row.in_flight))),
];

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1; the labels say what a node is, and its state now";
        let mut family = encoder.encode_descriptor("hezar_node_info", help, None, MetricType::Gauge)?;
        for row in &self.0 {
            let labels = [
                ("node", row.label.as_str()),
                ("name", &row.name),
                ("scheme", row.scheme),
                ("country", &row.country),
                ("state", row.state),
            ];
            ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, reading) in NODE_GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for row in &self.0 {
                if let Some(number) = reading(row) {
                    ConstGauge::new(number).encode(family.encode_family(&[("node", row.label.as_str())])?)?;
                }
            }
        }
        let help = "Requests, tunnels and associations that a node served last";
        let mut family = encoder.encode_descriptor("hezar_node_requests", help, None, MetricType::Counter)?;
        for row in &self.0 {
            let labels = [("node", row.label.as_str())];
            ConstCounter::new(row.traffic.requests).encode(family.encode_family(&labels)?)?;
        }
        let help = "Bytes moved over a node; up = from clients to it";
        let mut family = encoder.encode_descriptor("hezar_node_bytes", help, None, MetricType::Counter)?;
        for row in &self.0 {
            for (direction, bytes) in [("up", row.traffic.up), ("down", row.traffic.down)] {
                let labels = [("node", row.label.as_str()), ("direction", direction)];
                ConstCounter::new(bytes).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
