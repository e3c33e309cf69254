//! Which source lists which node.

use std::time::Duration;

use hezar_core::{HttpProxy, Tls};

use super::*;
use crate::{Applied, Record, Restored};

const HOUR: u64 = 3600;

fn list(source: &str, allow_private: bool, complete: bool, nodes: &[(u32, &str)]) -> PoolChange {
    let nodes = nodes.iter().map(|(n, label)| (spec(*n), Label::new(label))).collect();
    PoolChange::List { source: source.into(), allow_private, nodes, complete }
}

fn sources(pool: &TestPool, n: u32) -> Vec<String> {
    pool.node(id(n)).unwrap().sources().iter().map(|listing| listing.source.to_string()).collect()
}

#[test]
fn one_endpoint_under_many_names_is_one_node() {
    let pool = pool();
    let applied = pool.apply(list("a", false, true, &[(1, "one"), (1, "uno"), (2, "")]), at(0));
    assert_eq!(applied, Applied { added: 2, ..Applied::default() });
    let applied = pool.apply(list("b", false, true, &[(1, "eins"), (2, "zwei")]), at(1));
    assert_eq!(applied, Applied { updated: 2, ..Applied::default() });
    assert_eq!(pool.node(id(1)).unwrap().label().as_str(), "one");
    assert_eq!(pool.node(id(2)).unwrap().label().as_str(), "zwei", "a name is better than none");
    assert_eq!(sources(&pool, 1), ["a", "b"]);
    assert_eq!(pool.snapshot().counts().total(), 2);
    let again = pool.apply(list("b", false, true, &[(1, "ein"), (2, "zwei")]), at(2));
    assert_eq!(again, Applied::default(), "the second source's name does not matter");
    let renamed = pool.apply(list("a", false, true, &[(1, "first"), (2, "")]), at(3));
    assert_eq!(renamed, Applied { updated: 1, ..Applied::default() });
    assert_eq!(pool.node(id(1)).unwrap().label().as_str(), "first");
    check(&pool);
}

#[test]
fn a_complete_list_replaces_and_an_incomplete_one_adds() {
    let pool = pool();
    pool.apply(listing("a", 0..4), at(0));
    let applied = pool.apply(list("a", false, false, &[(4, "")]), at(1));
    assert_eq!((applied.added, applied.unlisted), (1, 0));
    assert_eq!(pool.sources(), [("a".into(), false, 5)]);
    let applied = pool.apply(listing("a", 2..5), at(2));
    assert_eq!((applied.added, applied.updated, applied.unlisted), (0, 1, 2), "node 4 got its name");
    assert_eq!(pool.sources(), [("a".into(), false, 3)]);
    assert_eq!(pool.snapshot().counts().total(), 5, "nothing is lost");
    assert!(sources(&pool, 0).is_empty());
    let applied = pool.apply(listing("a", 0..5), at(3));
    assert_eq!((applied.added, applied.updated), (0, 2));
}

#[test]
fn any_source_may_allow_private_addresses() {
    let pool = pool();
    let allowed = |n| pool.node(id(n)).unwrap().allow_private();
    pool.apply(list("a", false, true, &[(1, ""), (2, "")]), at(0));
    assert!(!allowed(1));
    pool.apply(list("b", true, true, &[(1, "")]), at(0));
    assert!(allowed(1) && !allowed(2));
    pool.apply(list("b", true, true, &[]), at(1));
    assert!(!allowed(1), "the source that remains does not");
    pool.apply(list("a", true, false, &[(1, "")]), at(2));
    assert!(allowed(1) && allowed(2), "the newest listing decides for the whole source");
    pool.apply(list("a", true, true, &[]), at(3));
    assert!(allowed(1), "a node that fell out of its list stays reachable");
    pool.apply(list("a", true, true, &[(1, ""), (2, "")]), at(4));
    pool.apply(PoolChange::DropSource("a".into()), at(5));
    assert!(!allowed(1) && !allowed(2), "a source taken away allows nothing");
    assert!(pool.sources().iter().all(|(name, ..)| &**name != "a"));
}

#[test]
fn only_the_unlisted_and_long_dead_are_forgotten() {
    let pool = healthy(4);
    kill(&pool, 0, 10);
    kill(&pool, 1, 10);
    pool.apply(listing("s", [1, 3]), at(20));
    assert_eq!(pool.tick(at(10 + 71 * HOUR)), 0);
    assert_eq!(pool.tick(at(10 + 72 * HOUR)), 1, "node 0: dead and unlisted; 1 is listed, 2 lives");
    assert!(pool.node(id(0)).is_none());
    check(&pool);
    kill(&pool, 2, 100 * HOUR);
    assert_eq!(pool.tick(at(101 * HOUR)), 0);
    assert_eq!(pool.tick(at(172 * HOUR)), 1);
    check(&pool);
    assert_eq!(pool.snapshot().counts().total(), 2);
}

#[test]
fn what_never_worked_is_forgotten_too_once_unlisted() {
    let pool = TestPool::new(Rules { forget_after: Duration::from_secs(60), ..Rules::default() });
    pool.apply(listing("s", 0..3), at(0));
    pool.mark_unsupported(id(0), "node-unsupported");
    assert_eq!(pool.tick(at(1000)), 0, "listed");
    pool.apply(listing("s", [2]), at(1000));
    assert_eq!(pool.tick(at(1059)), 0);
    assert_eq!(pool.tick(at(1060)), 2);
    check(&pool);
}

#[test]
fn removed_nodes_are_gone_and_may_come_back() {
    let pool = healthy(3);
    let lease = pool.pick(&Query { exclude_nodes: &[id(0), id(2)], ..Query::default() }, 1).unwrap();
    let applied = pool.apply(PoolChange::Remove(vec![id(1), id(1), id(9)]), at(5));
    assert_eq!(applied, Applied { removed: 1, ..Applied::default() });
    assert!(lease.gone() && !lease.routable());
    pool.report(id(1), &ok(1), at(6));
    drop(lease);
    check(&pool);
    let applied = pool.apply(listing("s", 0..3), at(7));
    assert_eq!(applied.added, 1);
    assert_eq!(pool.node(id(1)).unwrap().state(), State::New);
    check(&pool);
    pool.apply(PoolChange::Remove((0..3).map(id).collect()), at(8));
    assert_eq!(pool.snapshot().counts(), Counts::default());
    check(&pool);
}

#[test]
fn more_nodes_than_one_slice() {
    let pool = pool();
    assert_eq!(pool.apply(listing("s", 0..5000), at(0)).added, 5000);
    assert_eq!(
        pool.apply(listing("s", 2500..7500), at(1)),
        Applied { added: 2500, unlisted: 2500, ..Applied::default() }
    );
    assert_eq!(pool.snapshot().counts().new, 7500);
    assert_eq!(pool.apply(PoolChange::Remove((0..7500).map(id).collect()), at(2)).removed, 7500);
    check(&pool);
}

#[test]
fn nodes_that_take_any_certificate_can_be_refused_and_told_apart() {
    let tls = Tls { skip_verify: true, ..Tls::default() };
    let proxy = HttpProxy { credentials: None, tls: Some(tls.into()) };
    let blind = NodeSpec::new(Target::parse("11.9.9.9:443").unwrap(), Outbound::Http(proxy));
    assert!(blind.skips_verification());
    let list = || PoolChange::List {
        source: "s".into(),
        allow_private: false,
        nodes: vec![(blind.clone(), Label::default()), (spec(1), Label::default())],
        complete: true,
    };
    let pool = pool();
    pool.apply(list(), at(0));
    pool.report(blind.id(), &ok(1), at(1));
    assert!(pool.node(blind.id()).unwrap().routable(), "by default reach comes first");
    let term = crate::Term::Not(Box::new(crate::Term::Insecure));
    assert!(!term.fits(&pool.node(blind.id()).unwrap()) && term.fits(&pool.node(id(1)).unwrap()));
    let strict = TestPool::new(Rules { allow_insecure: false, ..Rules::default() });
    strict.apply(list(), at(0));
    strict.report(blind.id(), &ok(1), at(1));
    let node = strict.node(blind.id()).unwrap();
    assert_eq!((node.unsupported(), node.routable()), (Some(crate::INSECURE.into()), false));
    assert_eq!((strict.snapshot().counts().unsupported, strict.snapshot().counts().new), (1, 1));
    check(&strict);
    let restored = TestPool::new(Rules { allow_insecure: false, ..Rules::default() });
    let record = Record { state: State::Healthy, last_ok: Some(at(0)), ..Record::default() };
    let kept = Restored {
        id: blind.id(),
        spec: blind.clone(),
        label: Label::default(),
        sources: Vec::new(),
        kept_from: None,
        record,
    };
    restored.apply(PoolChange::Restore(vec![kept]), at(1));
    assert_eq!(restored.snapshot().routable().count(), 0);
}

#[test]
fn a_banned_node_does_not_come_back_until_it_is_let() {
    let pool = pool();
    pool.apply(listing("s", 0..3), at(0));
    pool.ban([id(1)]);
    assert_eq!(pool.apply(PoolChange::Remove(vec![id(1)]), at(1)).removed, 1);
    for source in ["s", "other"] {
        let applied = pool.apply(listing(source, 0..3), at(2));
        assert_eq!((applied.added, applied.banned), (0, 1));
        assert!(pool.node(id(1)).is_none());
    }
    check(&pool);
    assert!(pool.lift(id(1)) && !pool.lift(id(1)));
    assert_eq!(pool.apply(listing("s", 0..3), at(3)).added, 1);
    check(&pool);
}
