//! Selections: where they lead, and what cannot be selected.

use hezar_core::{Label, NodeSpec, Outbound, SocksProxy, SocksVersion, Target, Timestamp};
use hezar_pool::{Exit, Origin, Outcome, PoolChange, Rules, Success};

use super::*;

/// Two nodes of the source `mine`: one in Germany, one in the Netherlands.
fn pool() -> (Pool<()>, [NodeId; 2]) {
    let pool = Pool::new(Rules::default());
    let specs = ["192.0.2.1:1", "192.0.2.2:1"].map(|server| {
        let proxy = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
        NodeSpec::new(Target::parse(server).unwrap(), Outbound::Socks(proxy))
    });
    let nodes = specs.iter().cloned().map(|spec| (spec, Label::default())).collect();
    let now = Timestamp(1);
    pool.apply(PoolChange::List { source: "mine".into(), allow_private: false, nodes, complete: true }, now);
    let ids = specs.map(|spec| spec.id());
    for (id, country) in ids.iter().zip([*b"DE", *b"NL"]) {
        let exit = Exit { ip: "192.0.2.9".parse().unwrap(), country: Some(country) };
        let success = Success { latency: std::time::Duration::from_millis(5), exit: Some(exit) };
        pool.report(*id, &Outcome { origin: Origin::Probe, result: Ok(success) }, now);
    }
    (pool, ids)
}

#[test]
fn a_selection_in_the_pool_leads_on_to_that_of_its_group() {
    let (pool, [german, dutch]) = pool();
    let groups = GroupSelections::default();
    assert!(groups.is_empty() && !groups.selected_in_pool().is_any());
    groups.select(&pool, &Group::Country(*b"DE"), Some(GroupMember::Node(german))).unwrap();
    assert_eq!(groups.selected_in_country(*b"DE").node, Some(german));
    assert_eq!(groups.selected_in_country(*b"NL"), Selected::default());
    assert_eq!(groups.selected_in_pool(), Selected::default(), "a country's node is for those who ask for the country");
    groups.select(&pool, &Group::Pool, Some(GroupMember::Country(*b"DE"))).unwrap();
    assert_eq!(groups.selected_in_pool(), Selected { country: Some(*b"DE"), node: Some(german), filter: None });
    groups.select(&pool, &Group::Pool, Some(GroupMember::Node(dutch))).unwrap();
    assert_eq!(groups.selected_in_pool(), Selected { node: Some(dutch), ..Selected::default() });
    groups.select(&pool, &Group::Pool, None).unwrap();
    assert_eq!(groups.selected_in_pool(), Selected::default());
    assert_eq!(groups.list(), [(Group::Country(*b"DE"), GroupMember::Node(german))]);
}

#[test]
fn what_is_not_in_a_group_cannot_be_selected_in_it() {
    let (pool, [german, dutch]) = pool();
    let groups = GroupSelections::default();
    let select = |group: &Group, member| groups.select(&pool, group, Some(member));
    let germany = Group::Country(*b"DE");
    assert_eq!(select(&germany, GroupMember::Node(dutch)), Err(SelectionError::ForeignNode));
    assert_eq!(select(&germany, GroupMember::Country(*b"DE")), Err(SelectionError::NotAMember));
    assert_eq!(select(&Group::Source("other".into()), GroupMember::Node(german)), Err(SelectionError::ForeignNode));
    assert!(groups.is_empty());
    assert_eq!(select(&Group::Source("mine".into()), GroupMember::Node(german)), Ok(()));
    // A node that is gone may come back.
    pool.apply(PoolChange::Remove(vec![dutch]), Timestamp(2));
    assert_eq!(select(&germany, GroupMember::Node(dutch)), Ok(()));
}

#[test]
fn the_filter_of_a_selected_source_goes_with_it() {
    let (pool, _) = pool();
    let groups = GroupSelections::default();
    for _ in 0..1000 {
        groups.select(&pool, &Group::Pool, Some(GroupMember::Source("mine".into()))).unwrap();
    }
    let first = groups.selected_in_pool().filter.unwrap();
    groups.select(&pool, &Group::Pool, Some(GroupMember::Source("other".into()))).unwrap();
    assert!(!pool.remove_filter(first), "it was removed with its selection");
    let last = groups.selected_in_pool().filter.unwrap();
    groups.select(&pool, &Group::Pool, None).unwrap();
    assert!(!pool.remove_filter(last));
}

#[test]
fn the_number_of_selections_is_bounded() {
    let (pool, [german, _]) = pool();
    pool.apply(PoolChange::Remove(vec![german]), Timestamp(2));
    let groups = GroupSelections::default();
    let select =
        |n: usize| groups.select(&pool, &Group::Source(format!("s{n}").into()), Some(GroupMember::Node(german)));
    assert!((0..GroupSelections::MOST).all(|n| select(n).is_ok()));
    assert_eq!(select(GroupSelections::MOST), Err(SelectionError::TooMany));
    assert_eq!(select(0), Ok(()), "one that is there may change");
}
