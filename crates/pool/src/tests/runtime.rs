//! What can be changed while the pool is in use: filters, rules, and the mark of nodes that cannot be dialled.

use hezar_core::{HttpProxy, Tls};

use super::*;
use crate::{Filter, INSECURE, Term, TooManyFilters};

fn everything(top: Option<usize>) -> Filter {
    Filter { term: Term::All(Vec::new()), max_latency: None, top }
}

#[test]
fn a_filter_that_is_removed_makes_room_and_its_id_finds_nothing() {
    let pool = healthy(20);
    let (first, second) = (pool.add_filter(everything(Some(5))).unwrap(), pool.add_filter(everything(None)).unwrap());
    let with = |filter| Query { filter: Some(filter), ..query(Strategy::RoundRobin) };
    assert!(pool.pick(&with(first), 1).is_some());
    assert!(pool.remove_filter(first) && !pool.remove_filter(first));
    assert!(pool.pick(&with(first), 1).is_none(), "a filter that is gone lets nothing through");
    assert_eq!(pool.explain(&with(first), 1).fitting, 0);
    // The views that stay follow the nodes as before.
    for n in 0..20 {
        pool.report(id(n), &ok_in(5, b"DE"), at(2));
    }
    kill(&pool, 3, 3);
    pool.apply(PoolChange::Remove(vec![id(4)]), at(4));
    check(&pool);
    let seen: HashSet<_> = (0..200).filter_map(|rng| picked(&pool, &with(second), rng)).collect();
    assert_eq!(seen, (0..20).filter(|n| ![3, 4].contains(n)).map(id).collect());
    let german = Query { country: Some(*b"DE"), ..with(second) };
    assert!(pool.pick(&german, 1).is_some());
    assert!(pool.remove_filter(second));
    check(&pool);
    for _ in 0..3 * TooManyFilters::MOST {
        let filter = pool.add_filter(everything(None)).unwrap();
        assert!(![first, second].contains(&filter), "no id is given twice");
        assert!(pool.remove_filter(filter));
    }
}

#[test]
fn rules_change_while_nodes_are_in_use() {
    let pool = healthy(40);
    pool.set_rules(Rules { dead_after: 1, ..Rules::default() });
    pool.report(id(0), &bad(Origin::Probe), at(2));
    assert_eq!(pool.node(id(0)).unwrap().state(), State::Dead);
    pool.set_rules(Rules { dead_after: 5, sessions: 16, ..Rules::default() });
    for _ in 0..4 {
        pool.report(id(1), &bad(Origin::Probe), at(2));
    }
    assert_eq!(pool.node(id(1)).unwrap().state(), State::Suspect);
    check(&pool);
}

#[test]
fn fewer_sessions_are_kept_when_the_rules_say_so() {
    let pool = healthy(40);
    let ask = |n: u64| Query { session: Some(SessionKey(n << 56 | n)), ..query(Strategy::Smart) };
    for n in 0..1000 {
        drop(pool.pick(&ask(n), n));
    }
    let pinned = |pool: &TestPool| (0..1000).filter(|n| pool.pinned(SessionKey(n << 56 | n)).is_some()).count();
    assert_eq!(pinned(&pool), 1000);
    pool.set_rules(Rules { sessions: 64, ..Rules::default() });
    assert!((1..=64).contains(&pinned(&pool)), "{}", pinned(&pool));
    for n in 0..1000 {
        drop(pool.pick(&ask(n), n));
    }
    assert!((1..=64).contains(&pinned(&pool)));
}

#[test]
fn nodes_that_take_any_certificate_follow_the_rule_at_once() {
    let tls = Tls { skip_verify: true, ..Tls::default() };
    let proxy = HttpProxy { credentials: None, tls: Some(tls.into()) };
    let blind = NodeSpec::new(Target::parse("11.9.9.9:443").unwrap(), Outbound::Http(proxy));
    let pool = healthy(3);
    let nodes = vec![(blind.clone(), Label::default())];
    pool.apply(PoolChange::List { source: "b".into(), allow_private: false, nodes, complete: true }, at(1));
    pool.report(blind.id(), &ok(1), at(2));
    let routable = || pool.node(blind.id()).unwrap().routable();
    assert!(routable());
    pool.set_rules(Rules { allow_insecure: false, ..Rules::default() });
    assert_eq!(pool.node(blind.id()).unwrap().unsupported(), Some(INSECURE.into()));
    assert!(!routable());
    check(&pool);
    pool.set_rules(Rules::default());
    assert!(routable());
    check(&pool);
    // Another reason is none of this rule's.
    pool.mark_unsupported(blind.id(), "node-unsupported");
    pool.set_rules(Rules { allow_insecure: false, ..Rules::default() });
    pool.set_rules(Rules::default());
    assert_eq!(pool.node(blind.id()).unwrap().unsupported(), Some("node-unsupported".into()));
}

#[test]
fn a_node_that_can_be_dialled_after_all_is_probed_and_routed_again() {
    let pool = healthy(2);
    let watch = pool.watch_states();
    pool.mark_unsupported(id(0), "node-unsupported");
    assert_eq!(pool.snapshot().counts().unsupported, 1);
    pool.clear_unsupported(id(0));
    assert_eq!(pool.snapshot().counts().unsupported, 0);
    assert!(pool.node(id(0)).unwrap().routable());
    assert_eq!(watch.take(9).iter().map(|changed| changed.id).collect::<Vec<_>>(), [id(0)]);
    check(&pool);
    let before = watch.len();
    pool.clear_unsupported(id(0));
    assert_eq!(watch.len(), before, "nothing changed");
}

#[test]
fn a_node_takes_little_memory() {
    // A million of them are to fit into 800 MiB, with what hangs on them.
    let (node, spec) = (size_of::<Node<Arc<dyn std::any::Any>>>(), size_of::<NodeSpec>());
    // With the two counters of its `Arc` it is 320 bytes, a size class of most allocators.
    assert!(node <= 304 && spec <= 96, "a node takes {node} bytes, its description {spec}");
}
