//! What operators say about nodes acts, and outlives the nodes.

use super::*;
use crate::{Annotation, Bounds, Filter, Query, Rules, SiteKey, Term};

fn disabled() -> Annotation {
    Annotation { disabled: true, ..Annotation::default() }
}

fn pinned() -> Annotation {
    Annotation { pinned: true, ..Annotation::default() }
}

fn annotate(pool: &TestPool, id: NodeId, annotation: Option<Annotation>) {
    pool.annotate(vec![(id, annotation)]);
}

#[test]
fn a_disabled_node_carries_nothing_until_it_is_enabled() {
    let pool = pool();
    pool.apply(listing("s", 0..2), at(0));
    (0..2).for_each(|n| pool.report(id(n), &ok(10), at(1)));
    annotate(&pool, id(0), Some(disabled()));
    let counts = pool.snapshot().counts();
    assert_eq!((counts.healthy, counts.disabled, counts.total()), (1, 1, 2));
    assert!((0..50).all(|n| pool.pick(&Query::default(), n).unwrap().id() == id(1)));
    assert!(!pool.node(id(0)).unwrap().is_probed());
    let told = pool.explain(&Query::default(), 5);
    assert_eq!((told.fitting, told.excluded["disabled"].count), (1, 1));
    // Evidence that comes late does not switch it on.
    pool.report(id(0), &ok(10), at(2));
    assert_eq!(pool.snapshot().counts().disabled, 1);
    annotate(&pool, id(0), None);
    assert_eq!(pool.snapshot().counts().healthy, 2);
    assert!((0..50).any(|n| pool.pick(&Query::default(), n).unwrap().id() == id(0)));
    check(&pool);
}

#[test]
fn an_annotation_outlives_its_node_and_may_come_before_it() {
    let pool = pool();
    annotate(&pool, id(0), Some(disabled()));
    pool.apply(listing("s", 0..1), at(0));
    assert!(pool.node(id(0)).unwrap().disabled());
    pool.apply(PoolChange::Remove(vec![id(0)]), at(1));
    pool.apply(listing("s", 0..1), at(2));
    let node = pool.node(id(0)).unwrap();
    assert_eq!(node.annotation().as_deref(), Some(&disabled()));
    check(&pool);
}

#[test]
fn a_pinned_node_is_never_forgotten_and_makes_no_room() {
    let rules = Rules { bounds: Bounds { total: 2, per_source: 10, per_server: 10 }, ..Rules::default() };
    let pool: TestPool = Pool::new(rules);
    pool.apply(listing("s", 0..2), at(0));
    annotate(&pool, id(0), Some(pinned()));
    // Nothing lists them any more, and neither has ever worked.
    pool.apply(listing("s", 2..4), at(1));
    let years = at(10 * 365 * 86_400);
    pool.tick(years);
    assert!(pool.node(id(0)).is_some() && pool.node(id(1)).is_none());
    annotate(&pool, id(0), None);
    pool.tick(years);
    assert!(pool.node(id(0)).is_none());
    check(&pool);
}

#[test]
fn tags_decide_at_once_about_the_views_of_filters() {
    let pool = pool();
    pool.apply(listing("s", 0..2), at(0));
    (0..2).for_each(|n| pool.report(id(n), &ok(10), at(1)));
    let filter = Filter { term: Term::Tag("paid".into()), max_latency: None, top: None };
    let query = Query { filter: Some(pool.add_filter(filter).unwrap()), ..Query::default() };
    assert!(pool.pick(&query, 1).is_none());
    annotate(&pool, id(1), Some(Annotation { tags: vec!["slow".into(), "paid".into()], ..Annotation::default() }));
    assert_eq!(pool.pick(&query, 1).unwrap().id(), id(1));
    annotate(&pool, id(1), Some(Annotation { note: "no tag any more".into(), ..Annotation::default() }));
    assert!(pool.pick(&query, 1).is_none());
    check(&pool);
}

#[test]
fn evidence_at_a_site_is_told_until_it_is_forgotten() {
    let pool = pool();
    pool.apply(listing("s", 0..2), at(0));
    assert_eq!(pool.site_evidence(id(0), SiteKey(7)), None);
    pool.report_site(id(0), SiteKey(7), crate::SiteVerdict::Blocked, at(1));
    let evidence = pool.site_evidence(id(0), SiteKey(7)).unwrap();
    assert!(evidence.avoided && evidence.level == 2 && evidence.until > at(1), "{evidence:?}");
    assert_eq!((pool.site_evidence(id(1), SiteKey(7)), pool.site_evidence(id(0), SiteKey(8))), (None, None));
    pool.report_site(id(1), SiteKey(7), crate::SiteVerdict::Fails, at(2));
    assert!(!pool.site_evidence(id(1), SiteKey(7)).unwrap().avoided, "once may be chance");
    pool.tick(at(86_400));
    assert_eq!(pool.site_evidence(id(0), SiteKey(7)), None);
}
