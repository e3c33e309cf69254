//! Which nodes the groups of the GATEWAY core have, and the files in which it reads them.

use std::{collections::HashMap, sync::Arc};

use hezar_core::{NodeId, State};
use hezar_formats::write::clash_proxies;
use hezar_pool::{Filter, Node};
use parking_lot::Mutex;

use crate::nodes::{Nodes, Payload};

/// The member of a provider that has no node: an empty list is an error for a core.
const PLACEHOLDER: &str = "{\"name\":\"none\",\"type\":\"reject\"}";

type PoolNode = Arc<Node<Payload>>;

/// A node as a core reads it; absent where Clash has no words for it.
type Entry = Option<Arc<str>>;

/// Nodes as entries of a core's lists, each written once while it is needed.
#[derive(Debug, Default)]
pub(super) struct Entries(Mutex<HashMap<NodeId, Entry, ahash::RandomState>>);

impl Entries {
    /// A node under its id; `None` when a core cannot have it.
    pub(super) fn of(&self, node: &Node<Payload>) -> Entry {
        self.0.lock().entry(node.id()).or_insert_with(|| entry(node)).clone()
    }

    /// Forgets all but these.
    pub(super) fn keep(&self, is_needed: impl Fn(NodeId) -> bool) {
        self.0.lock().retain(|id, _| is_needed(*id));
    }
}

/// A node under its id as an entry of `proxies`; `None` when Clash has no words for it, or when it is dialled through another node, which
/// providers cannot say.
pub(super) fn entry(node: &Node<Payload>) -> Entry {
    let mut entries = clash_proxies(&node.id().to_string(), node.spec()).ok()?;
    let last = entries.pop()?;
    entries.is_empty().then(|| last.into())
}

/// The text of a provider with these nodes.
pub(super) fn provider<'a>(entries: impl IntoIterator<Item = &'a Arc<str>>) -> String {
    let mut text = String::from("proxies:\n");
    let mut is_empty = true;
    for entry in entries {
        is_empty = false;
        text.push_str("  - ");
        text.push_str(entry);
        text.push('\n');
    }
    if is_empty {
        text.push_str(&format!("  - {PLACEHOLDER}\n"));
    }
    text
}

/// The nodes of the pool that a group has: those that are healthy and fit its filter, or, when there is none, the suspects. They come in
/// the order of their ids, so that the same nodes give the same text.
pub(super) fn members(pool: &Nodes, filter: Option<&Filter>) -> Vec<PoolNode> {
    let snapshot = pool.snapshot();
    let fits = |node: &&PoolNode| node.routable() && filter.is_none_or(|filter| filter.fits(node));
    let routable: Vec<PoolNode> = snapshot.routable().filter(fits).cloned().collect();
    let is_healthy = |node: &PoolNode| node.state() == State::Healthy;
    let mut members: Vec<PoolNode> = routable.iter().filter(|node| is_healthy(node)).cloned().collect();
    if members.is_empty() {
        members = routable;
    }
    if let Some(top) = filter.and_then(|filter| filter.top) {
        members.sort_by_key(|node| (node.latency().is_none(), node.latency(), node.id()));
        members.truncate(top);
    }
    members.sort_unstable_by_key(|node| node.id());
    members
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hezar_core::{Label, NodeSpec, Timestamp};
    use hezar_formats::parse_link;
    use hezar_pool::{Origin, Outcome, Pool, PoolChange, Rules, Term};

    use super::*;

    fn node(link: &str) -> NodeSpec {
        parse_link(link).unwrap().0
    }

    fn pool(links: &[&str]) -> (Nodes, Vec<NodeId>) {
        let pool = Pool::new(Rules::default());
        let specs: Vec<NodeSpec> = links.iter().map(|link| node(link)).collect();
        let ids = specs.iter().map(NodeSpec::id).collect();
        let nodes = specs.into_iter().map(|spec| (spec, Label::default())).collect();
        pool.apply(PoolChange::List { source: "s".into(), allow_private: true, nodes, complete: true }, Timestamp(1));
        (pool, ids)
    }

    fn works(pool: &Nodes, id: NodeId, latency: u64) {
        let outcome = Outcome::success(Origin::Probe, Duration::from_millis(latency));
        pool.report(id, &outcome, Timestamp(2));
    }

    #[test]
    fn a_group_has_the_healthy_nodes_that_fit_and_only_the_fastest_of_them() {
        let (pool, ids) = pool(&["socks5://192.0.2.1:1", "socks5://192.0.2.2:1", "http://192.0.2.3:1"]);
        assert!(members(&pool, None).is_empty(), "nothing is known yet");
        works(&pool, ids[0], 30);
        works(&pool, ids[2], 10);
        let of =
            |filter: Option<&Filter>| -> Vec<NodeId> { members(&pool, filter).iter().map(|node| node.id()).collect() };
        let mut healthy = vec![ids[0], ids[2]];
        healthy.sort_unstable();
        assert_eq!(of(None), healthy);
        let scheme = Term::Scheme(vec!["socks5".into()]);
        assert_eq!(of(Some(&Filter { term: scheme, max_latency: None, top: None })), [ids[0]]);
        assert_eq!(of(Some(&Filter { term: Term::All(Vec::new()), max_latency: None, top: Some(1) })), [ids[2]]);
    }

    #[test]
    fn a_provider_is_never_empty_and_names_nodes_by_their_ids() {
        assert_eq!(provider([]), format!("proxies:\n  - {PLACEHOLDER}\n"));
        let (pool, ids) = pool(&["socks5://192.0.2.1:1"]);
        let entry = entry(&pool.node(ids[0]).unwrap()).unwrap();
        let text = provider([&entry]);
        assert!(text.contains(&format!("\"name\":\"{}\"", ids[0])) && !text.contains("none"), "{text}");
    }
}
