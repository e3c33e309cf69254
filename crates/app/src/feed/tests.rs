//! What is told to whom, and when a change is noticed.

use hezar_core::{Label, NodeSpec};
use hezar_pool::{Hearsay, Origin, Outcome, PoolChange, Rules};

use super::*;

const US: &str = "00000000000000000000000000000000";

fn spec(number: u8) -> (NodeSpec, Label) {
    hezar_formats::parse_link(&format!("socks5://11.0.0.{number}:1080#n{number}")).unwrap()
}

fn id(number: u8) -> NodeId {
    spec(number).0.id()
}

struct World {
    pool: Arc<Nodes>,
    feed: NodeFeed,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let (pool, clock) = (Arc::new(Nodes::new(Rules::default())), Clock::start());
        let feed = NodeFeed::new(US.into(), Arc::clone(&pool), clock, Upstreams::new(US.into()));
        Self { pool, feed, now: clock.now() }
    }

    fn list(&self, source: &str, numbers: &[u8]) {
        let nodes = numbers.iter().map(|number| spec(*number)).collect();
        let list = PoolChange::List { source: source.into(), allow_private: false, nodes, complete: true };
        self.pool.apply(list, self.now);
    }

    fn works(&self, number: u8) {
        self.pool.report(id(number), &Outcome::success(Origin::Probe, Duration::from_millis(40)), self.now);
    }

    fn ask(&self, after: Option<&str>) -> (FeedHeadDto, Vec<FeedNodeDto>) {
        self.feed.answer(&FeedQuery { after: after.map(str::to_owned), reader: Some("a".repeat(32)) })
    }
}

#[test]
fn only_what_works_here_is_told_and_afterwards_what_changes() {
    let world = World::new();
    world.list("own", &[1, 2, 3]);
    world.works(1);
    world.pool.believe(&[(id(2), Hearsay { last_ok: world.now, latency: None, exit: None })], world.now);
    let (head, nodes) = world.ask(None);
    assert!(head.whole && head.instance == US);
    let [node] = &nodes[..] else { panic!("{nodes:?}") };
    assert_eq!((node.id.clone(), node.latency_ms, node.via.len()), (id(1).to_string(), Some(40), 0));
    assert_eq!(node.link.as_deref(), Some("socks5://11.0.0.1:1080#n1"));
    // Nothing has changed.
    let (same, nothing) = world.ask(Some(&head.cursor));
    assert!(!same.whole && nothing.is_empty());
    world.works(3);
    world.pool.apply(PoolChange::Remove(vec![id(1)]), world.now);
    let (later, mut changes) = world.ask(Some(&head.cursor));
    changes.sort_by_key(|node| node.link.is_none());
    let told: Vec<_> = changes.iter().map(|node| (node.id.clone(), node.link.is_some())).collect();
    assert_eq!(told, [(id(3).to_string(), true), (id(1).to_string(), false)]);
    assert!(!later.whole && later.cursor != head.cursor);
    // A cursor of another process, or one that is too old.
    assert!(world.ask(Some("1-1")).0.whole);
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_of_a_change_and_of_none() {
    let world = World::new();
    world.list("own", &[1]);
    let (head, _) = world.ask(None);
    let wait = Duration::from_secs(20);
    assert!(!world.feed.changed(Some(&head.cursor), wait).await);
    assert!(world.feed.changed(None, wait).await && world.feed.changed(Some("f-1"), wait).await);
    let (feed, stop) = (Arc::new(world.feed), CancellationToken::new());
    let running = tokio::spawn({
        let (feed, stop) = (Arc::clone(&feed), stop.clone());
        async move { feed.run(stop).await }
    });
    let waiting = tokio::spawn({
        let feed = Arc::clone(&feed);
        async move { feed.changed(Some(&head.cursor), wait).await }
    });
    tokio::task::yield_now().await;
    world.pool.report(id(1), &Outcome::success(Origin::Probe, Duration::from_millis(1)), world.now);
    assert!(waiting.await.unwrap());
    // Nobody follows any more: nothing is collected, and the old cursor is none.
    let cursor = feed.answer(&FeedQuery::default()).0.cursor;
    tokio::time::sleep(IDLE + EVERY).await;
    assert!(feed.following.lock().is_none());
    assert!(feed.changed(Some(&cursor), Duration::ZERO).await);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_also_of_what_another_reader_has_found() {
    let world = World::new();
    world.list("own", &[1]);
    let (head, _) = world.ask(None);
    let (feed, pool, now) = (Arc::new(world.feed), world.pool, world.now);
    let (began, wait) = (Instant::now(), Duration::from_secs(20));
    let waiting = tokio::spawn({
        let feed = Arc::clone(&feed);
        async move { feed.changed(Some(&head.cursor), wait).await }
    });
    tokio::task::yield_now().await;
    pool.report(id(1), &Outcome::success(Origin::Probe, Duration::from_millis(1)), now);
    assert!(feed.changed(Some("f-1"), wait).await, "another reader asks first");
    assert!(waiting.await.unwrap() && began.elapsed() < wait);
}

#[test]
fn circuits_of_a_tor_client_on_this_machine_are_not_told() {
    let world = World::new();
    world.list("own", &[1]);
    world.works(1);
    let circuit = hezar_formats::parse_link("tor://user:secret@127.0.0.1:9050#c").unwrap();
    let circuit_id = circuit.0.id();
    let list = PoolChange::List { source: "tor".into(), allow_private: true, nodes: vec![circuit], complete: true };
    world.pool.apply(list, world.now);
    world.pool.report(circuit_id, &Outcome::success(Origin::Probe, Duration::from_millis(40)), world.now);
    assert_eq!(world.pool.snapshot().counts().routable(), 2);
    let told: Vec<_> = world.ask(None).1.into_iter().map(|node| node.id).collect();
    assert_eq!(told, [id(1).to_string()]);
}
