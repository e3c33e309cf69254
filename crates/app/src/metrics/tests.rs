//! What is told of nodes is bounded, those that are used most come first, and names cannot break the text.

use std::{sync::Arc, time::Duration};

use hezar_core::{NodeId, Timestamp};
use hezar_gateway::Connections;
use hezar_pool::{Origin, Outcome, PoolChange, Rules};

use super::NodeMetrics;
use crate::nodes::Nodes;

/// A pool of nodes with these names, all of them healthy; their ids in the same order.
fn pool(names: &[&str]) -> (Arc<Nodes>, Vec<NodeId>) {
    let pool = Arc::new(Nodes::new(Rules::default()));
    let links: String =
        names.iter().enumerate().map(|(number, name)| format!("socks5://11.0.0.{number}:1080#{name}\n")).collect();
    let nodes: Vec<_> = hezar_formats::parse(links.as_bytes()).nodes.into_iter().map(|n| (n.spec, n.label)).collect();
    let ids: Vec<NodeId> = nodes.iter().map(|(spec, _)| spec.id()).collect();
    let list = PoolChange::List { source: "test".into(), allow_private: false, nodes, complete: true };
    pool.apply(list, Timestamp(1));
    for id in &ids {
        pool.report(*id, &Outcome::success(Origin::Probe, Duration::from_millis(250)), Timestamp(2));
    }
    (pool, ids)
}

fn count(text: &str, metric: &str) -> usize {
    text.lines().filter(|line| line.starts_with(&format!("{metric}{{"))).count()
}

#[test]
fn at_most_so_many_nodes_are_told() {
    let (pool, _) = pool(&["a", "b", "c", "d"]);
    let metrics = NodeMetrics::new(pool, Arc::new(Connections::default()));
    for (most, told) in [(0, 0), (1, 1), (3, 3), (4, 4), (100, 4)] {
        let text = metrics.text(most);
        for metric in ["hezar_node_info", "hezar_node_up", "hezar_node_latency_seconds", "hezar_node_requests_total"] {
            assert_eq!(count(&text, metric), told, "{metric} of {most}: {text}");
        }
        assert_eq!(count(&text, "hezar_node_bytes_total"), 2 * told);
        assert!(text.ends_with("# EOF\n"));
    }
}

#[test]
fn a_node_has_a_stable_id_a_short_name_and_its_latency() {
    let long = "x".repeat(200);
    let (pool, ids) = pool(&["say%20%22hi%22%5C", &long]);
    let text = NodeMetrics::new(pool, Arc::new(Connections::default())).text(10);
    let info = |id: &NodeId| {
        let begin = format!("hezar_node_info{{node=\"{id}\",");
        text.lines().find(|line| line.starts_with(&begin)).unwrap().to_owned()
    };
    assert!(info(&ids[0]).contains("name=\"say \\\"hi\\\"\\\\\",scheme=\"socks5\",country=\"\",state=\"healthy\"} 1"));
    assert!(info(&ids[1]).contains(&format!("name=\"{}\"", "x".repeat(40))));
    assert!(text.contains(&format!("hezar_node_latency_seconds{{node=\"{}\"}} 0.25\n", ids[0])), "{text}");
}
