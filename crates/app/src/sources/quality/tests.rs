//! Sources are weighed by what works in them.

use hezar_core::{Fault, Label, Stage};
use hezar_pool::{Exit, Origin, Outcome, PoolChange, Rules, Success};
use hezar_store::{Access, Writer, WriterConfig};

use super::*;
use crate::sources::status::count;

fn pool(links: &[&str], source: &str) -> (Nodes, Vec<NodeId>) {
    let pool = Nodes::new(Rules::default());
    let ids = list(&pool, links, source);
    (pool, ids)
}

fn list(pool: &Nodes, links: &[&str], source: &str) -> Vec<NodeId> {
    let nodes: Vec<_> =
        links.iter().map(|link| (hezar_formats::parse_link(link).unwrap().0, Label::default())).collect();
    let ids = nodes.iter().map(|(spec, _)| spec.id()).collect();
    pool.apply(PoolChange::List { source: source.into(), allow_private: false, nodes, complete: true }, Timestamp(1));
    ids
}

fn works(pool: &Nodes, id: NodeId, exit: [u8; 4]) {
    let exit = Some(Exit { ip: exit.into(), country: None });
    let success = Success { latency: Duration::from_millis(50), exit };
    pool.report(id, &Outcome { origin: Origin::Probe, result: Ok(success) }, Timestamp(2));
}

fn dies(pool: &Nodes, id: NodeId) {
    let failure = Outcome::failure(Origin::Probe, Fault::Node, Stage::Connect, "refused");
    (0..3).for_each(|_| pool.report(id, &failure, Timestamp(3)));
}

const LINKS: [&str; 4] = ["socks5://11.0.0.1:1", "socks5://11.0.0.2:1", "socks5://11.0.0.3:1", "socks5://11.0.0.4:1"];

#[test]
fn exits_are_counted_once_and_shared_ones_are_nobodys_own() {
    let (pool, ids) = pool(&LINKS[..3], "a");
    list(&pool, &LINKS[2..], "b");
    works(&pool, ids[0], [9, 0, 0, 1]);
    works(&pool, ids[1], [9, 0, 0, 1]);
    works(&pool, ids[2], [9, 0, 0, 2]);
    let listed = count(pool.snapshot().nodes().map(AsRef::as_ref));
    let numbers = |name: &str| (listed[name].nodes, listed[name].healthy, listed[name].exits, listed[name].unique);
    assert_eq!(numbers("a"), (3, 3, 2, 1));
    assert_eq!(numbers("b"), (2, 1, 1, 0));
}

#[test]
fn a_source_that_gives_nothing_is_fetched_rarely_until_it_does() {
    let (pool, ids) = pool(&LINKS, "a");
    let mut row = SourceRow { nodes: 4, next_fetch: Some(Timestamp(61_000)), ..SourceRow::new("a", "url") };
    note_productivity(&mut row, &pool);
    assert_eq!(row.barren, 0, "nobody has judged its nodes yet");
    ids.iter().for_each(|id| dies(&pool, *id));
    for _ in 0..3 {
        assert_eq!(backoff(&row, Timestamp(1_000)), None);
        note_productivity(&mut row, &pool);
    }
    assert!(is_unproductive(&row));
    assert_eq!(backoff(&row, Timestamp(1_000)), Some(Timestamp(721_000)), "twelve times the pause");
    works(&pool, ids[3], [9, 0, 0, 1]);
    note_productivity(&mut row, &pool);
    assert_eq!(backoff(&row, Timestamp(1_000)), None);
}

#[tokio::test]
async fn half_lives_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, _behind) = Writer::new(store, WriterConfig::default());
    let table = SourceTable::new(vec![SourceRow::new("a", "url")], writer);
    let (pool, ids) = pool(&LINKS, "a");
    ids.iter().for_each(|id| works(&pool, *id, [9, 0, 0, 1]));
    let mut quality = QualityTracker::new(&pool);
    let hour = Duration::from_secs(3600);
    quality.watch(&pool, &table, hour);
    assert_eq!(half_life(&table.row("a").unwrap()), None, "nothing has died");
    // Four nodes live for an hour, then one for another: five hours of life, three deaths.
    ids[..3].iter().for_each(|id| dies(&pool, *id));
    quality.watch(&pool, &table, hour);
    let half = half_life(&table.row("a").unwrap()).unwrap().as_secs_f64();
    assert!((half / 3600.0 - 5.0 * 0.693 / 3.0).abs() < 0.02, "{half}");
}
