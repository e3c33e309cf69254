//! Instances over one database of PostgreSQL, each with a pool of its own: what one does the others have, and nobody undoes it.

use std::collections::BTreeSet;

use hezar_core::{Fault, NodeSpec, SourceName, Stage};
use hezar_formats::parse_link;
use hezar_pool::{Origin, Outcome, PoolChange, Rules, State};
use hezar_store::{Access, SourceRow, Store, WriterConfig};

use super::*;
use crate::{config::GeoConfig, geo::GeoDatabases};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn spec(n: u8) -> NodeSpec {
    parse_link(&format!("socks5://11.0.0.{n}:1080")).unwrap().0
}

fn id(n: u8) -> NodeId {
    spec(n).id()
}

/// One process.
struct Instance {
    pool: Arc<Nodes>,
    store: Arc<dyn Store>,
    shared: Arc<dyn SharedStore>,
    sync: NodeSync,
    writer: Writer,
    target: NodeTarget,
    ownership: Ownership,
    position: ChangePosition,
}

impl Instance {
    async fn start(url: &str, ownership: Ownership) -> Self {
        let store = hezar_store::open(url, std::path::Path::new("."), Access::Exclusive).await.unwrap();
        let shared = store.shared().unwrap();
        let (writer, behind) = Writer::new(Arc::clone(&store), WriterConfig::default());
        tokio::spawn(behind.run(CancellationToken::new()));
        let pool = Arc::new(Nodes::new(Rules::default()));
        let owned = watch::channel(ownership.clone()).1;
        let sync = NodeSync::new(Arc::clone(&pool), pool.watch_own(), writer.clone()).among_others(owned);
        let geo = Arc::new(GeoLookup::new(GeoDatabases::open(&GeoConfig::default()).unwrap(), &pool));
        let table = SourceTable::new(Vec::new(), writer.clone());
        let target = NodeTarget { pool: Arc::clone(&pool), table, geo };
        let position = shared.position().await.unwrap();
        Self { pool, store, shared, sync, writer, target, ownership, position }
    }

    fn lists(&self, source: &str, nodes: impl IntoIterator<Item = u8>) {
        let nodes = nodes.into_iter().map(|n| (spec(n), hezar_core::Label::default())).collect();
        self.pool.apply(PoolChange::List { source: source.into(), allow_private: false, nodes, complete: true }, NOW);
    }

    async fn writes(&self) {
        self.sync.write_all().await.unwrap();
        self.writer.flush().await.unwrap();
    }

    async fn follows(&mut self) {
        let ChangesSince::Rows(rows) = self.shared.changes_since(&self.position).await.unwrap() else { panic!() };
        let ChangedRows { mut changes, next, .. } = *rows;
        self.target.apply(NodeChanges::take_from(&mut changes), &self.ownership, NOW.after(Duration::from_secs(600)));
        self.position = next;
    }

    fn sources(&self, n: u8) -> Option<BTreeSet<SourceName>> {
        Some(self.pool.node(id(n))?.sources().into_iter().map(|listing| listing.source).collect())
    }

    fn fails(&self, n: u8, seconds: u64) {
        let failure = Outcome::failure(Origin::Probe, Fault::Node, Stage::Connect, "refused");
        (0..3).for_each(|_| self.pool.report(id(n), &failure, NOW.after(Duration::from_secs(seconds))));
    }

    fn works(&self, n: u8, seconds: u64) {
        let success = Outcome::success(Origin::Probe, Duration::from_millis(40));
        self.pool.report(id(n), &success, NOW.after(Duration::from_secs(seconds)));
    }

    fn state(&self, n: u8) -> Option<State> {
        Some(self.pool.node(id(n))?.state())
    }
}

fn names<const N: usize>(sources: [&str; N]) -> Option<BTreeSet<SourceName>> {
    Some(sources.into_iter().map(Into::into).collect())
}

fn database(test: &str) -> Option<String> {
    hezar_lab::postgres::empty_database(test).unwrap()
}

#[tokio::test]
async fn two_fetchers_list_one_node_and_neither_takes_it_off_the_others_list() {
    let Some(url) = database("two_fetchers_list_one_node") else { return };
    let mut first = Instance::start(&url, Ownership::everything()).await;
    let mut second = Instance::start(&url, Ownership::everything()).await;
    // Both merge before either has heard of the other.
    first.lists("a", [1, 2]);
    second.lists("b", [1, 3]);
    first.writes().await;
    second.writes().await;
    for instance in [&mut first, &mut second] {
        instance.follows().await;
        assert_eq!(instance.sources(1), names(["a", "b"]));
        assert_eq!((instance.sources(2), instance.sources(3)), (names(["a"]), names(["b"])));
    }
    // What follows is no change of the follower's own: nothing is written back.
    let before = first.shared.position().await.unwrap();
    first.writes().await;
    second.writes().await;
    let ChangesSince::Rows(rows) = first.shared.changes_since(&before).await.unwrap() else { panic!() };
    assert_eq!(rows.changes, []);
    first.lists("a", [2]);
    first.writes().await;
    second.follows().await;
    assert_eq!(second.sources(1), names(["b"]), "the other list stays");
    second.lists("b", []);
    second.writes().await;
    first.follows().await;
    assert_eq!(first.sources(1), names([]));
    assert_eq!(first.pool.node(id(1)).unwrap().kept_from().unwrap().source, "b".into());
    let stored = first.store.load().await.unwrap();
    assert_eq!((stored.nodes.len(), stored.listings.len()), (3, 1));
}

#[tokio::test]
async fn a_node_that_comes_back_at_once_is_listed_and_nothing_of_before_holds() {
    let Some(url) = database("a_node_that_comes_back_at_once") else { return };
    let mut fetcher = Instance::start(&url, Ownership::everything()).await;
    fetcher.lists("a", [1, 2]);
    fetcher.fails(1, 5);
    fetcher.writes().await;
    fetcher.pool.apply(PoolChange::Remove(vec![id(1)]), NOW);
    fetcher.lists("a", [1, 2]);
    fetcher.writes().await;
    fetcher.follows().await;
    assert_eq!((fetcher.sources(1), fetcher.state(1)), (names(["a"]), Some(State::New)));
    let stored = fetcher.store.load().await.unwrap();
    assert_eq!(stored.listings[0].ids.len(), 2);
    assert!(stored.nodes.iter().all(|row| row.record.last_checked.is_none()));
}

#[tokio::test]
async fn what_a_prober_finds_reaches_a_gateway_and_what_a_gateway_finds_stays_with_it() {
    let Some(url) = database("what_a_prober_finds") else { return };
    let mut prober = Instance::start(&url, Ownership::everything()).await;
    let mut gateway = Instance::start(&url, Ownership::nothing()).await;
    prober.lists("a", [1, 2]);
    prober.works(1, 1);
    prober.works(2, 1);
    prober.writes().await;
    gateway.follows().await;
    assert_eq!((gateway.state(1), gateway.state(2)), (Some(State::Healthy), Some(State::Healthy)));
    prober.fails(1, 2);
    prober.writes().await;
    gateway.follows().await;
    assert_eq!(gateway.state(1), Some(State::Dead));
    prober.works(1, 3);
    prober.writes().await;
    gateway.follows().await;
    assert_eq!(gateway.state(1), Some(State::Healthy));

    let failure = Outcome::failure(Origin::Traffic, Fault::Node, Stage::Connect, "refused");
    gateway.pool.report(id(2), &failure, NOW.after(Duration::from_secs(4)));
    assert_eq!(gateway.state(2), Some(State::Suspect));
    // Nor does it write what it thinks of the node with the lists that it reads.
    gateway.lists("b", [2]);
    gateway.writes().await;
    prober.follows().await;
    assert_eq!(prober.state(2), Some(State::Healthy), "a verdict of its own traffic is the gateway's alone");
    prober.works(2, 5);
    prober.writes().await;
    gateway.follows().await;
    assert_eq!(gateway.state(2), Some(State::Healthy), "what was found later counts");

    prober.pool.apply(PoolChange::Remove(vec![id(1)]), NOW);
    prober.writes().await;
    // What waits here for a node that another process removes does not bring it back, and does not remove it again.
    gateway.works(1, 6);
    gateway.follows().await;
    assert_eq!(gateway.state(1), None);
    prober.lists("a", [1, 2]);
    prober.writes().await;
    gateway.writes().await;
    prober.follows().await;
    gateway.follows().await;
    assert!(prober.state(1).is_some() && gateway.state(1).is_some());
}

#[tokio::test]
async fn a_process_that_was_stopped_does_not_undo_what_others_found() {
    let Some(url) = database("a_process_that_was_stopped") else { return };
    let mut stopped = Instance::start(&url, Ownership::everything()).await;
    let mut successor = Instance::start(&url, Ownership::everything()).await;
    stopped.lists("a", [1]);
    stopped.works(1, 1);
    stopped.writes().await;
    successor.follows().await;
    // The one finds the node dead and is stopped before that is written; the other one takes over, and finds it works.
    stopped.fails(1, 10);
    successor.works(1, 60);
    successor.writes().await;
    stopped.writes().await;
    successor.follows().await;
    stopped.follows().await;
    assert_eq!((successor.state(1), stopped.state(1)), (Some(State::Healthy), Some(State::Healthy)));
    let record = &successor.store.load().await.unwrap().nodes[0].record;
    assert_eq!((record.state, record.last_checked), (State::Healthy, Some(NOW.after(Duration::from_secs(60)))));
}

#[tokio::test]
async fn a_node_on_a_private_address_may_be_used_where_its_source_says_so() {
    let Some(url) = database("a_node_on_a_private_address") else { return };
    let fetcher = Instance::start(&url, Ownership::nothing()).await;
    let mut gateway = Instance::start(&url, Ownership::nothing()).await;
    let nodes = vec![(spec(1), hezar_core::Label::default())];
    fetcher.pool.apply(PoolChange::List { source: "lan".into(), allow_private: true, nodes, complete: true }, NOW);
    gateway.target.table.adopt(SourceRow { allow_private: true, ..SourceRow::new("lan", "url") });
    fetcher.writes().await;
    gateway.follows().await;
    assert!(gateway.pool.node(id(1)).unwrap().allow_private());
    // Another process that reads the source goes by its own configuration, also before it has read it for the first time.
    let mut reader = Instance::start(&url, Ownership::nothing()).await;
    reader.position = fetcher.position.clone();
    reader.target.table.configure("lan", true);
    reader.target.table.adopt(SourceRow::new("lan", "url"));
    reader.follows().await;
    assert!(reader.pool.node(id(1)).unwrap().allow_private());
}
