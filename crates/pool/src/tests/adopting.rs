//! What other processes have stored is taken over, and what is known better here is kept.

use super::*;
use crate::{ChangeKind, ChangedNode, OwnList, Quarantine, Record, Restored, SiteBan, Watch};

/// A node as a store keeps it.
fn stored(node: &Node<Arc<str>>) -> Restored {
    Restored {
        id: node.id(),
        spec: node.spec().clone(),
        label: node.label(),
        sources: node.sources(),
        kept_from: node.kept_from(),
        record: node.record(),
    }
}

/// Gives a pool what has changed in another one.
pub(super) fn follow(pool: &TestPool, changes: &Watch, follower: &TestPool, now: Timestamp) {
    let ids: Vec<NodeId> = changes.take(usize::MAX).into_iter().map(|changed| changed.id).collect();
    let (there, gone): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| pool.node(*id).is_some());
    follower.adopt_removals(&gone);
    let nodes = there.into_iter().filter_map(|id| pool.node(id)).map(|node| stored(&node)).collect();
    follower.adopt(nodes, |_| false, now);
}

fn record(state: State, seconds: u64) -> Record {
    let failures = if state == State::Dead { 3 } else { 0 };
    Record {
        state,
        failures,
        first_seen: at(0),
        last_checked: Some(at(seconds)),
        last_ok: Some(at(0)),
        latency: Some(Duration::from_millis(70)),
        exit_ip: Some([9, 9, 9, 1].into()),
        country: Some(*b"NL"),
        ..Record::default()
    }
}

#[test]
fn an_older_record_never_wins_over_newer_evidence() {
    let pool = healthy(1);
    pool.report(id(0), &ok(10), at(50));
    let dead = record(State::Dead, 20);
    pool.adopt_records(&[(id(0), dead.clone())], |_| false, at(60));
    let node = pool.node(id(0)).unwrap();
    assert_eq!(node.state(), State::Healthy, "this process has seen it work later");
    assert_eq!((node.country(), node.exit_ip()), (Some(*b"NL"), Some([9, 9, 9, 1].into())), "only probes know this");
    assert_eq!(node.latency(), Some(Duration::from_millis(70)));
    pool.adopt_records(&[(id(0), record(State::Dead, 51))], |_| false, at(60));
    assert_eq!(node.state(), State::Dead);
    assert_eq!(pool.snapshot().counts().dead, 1);
    check(&pool);
}

#[test]
fn what_is_measured_here_takes_only_what_is_newer() {
    let pool = healthy(1);
    let own = pool.watch_own();
    pool.report(id(0), &ok(10), at(50));
    pool.quarantine(id(0), "tampering", at(50));
    let _ = own.take(9);
    // What this process wrote before it saw the node tamper.
    let read_back = record(State::Healthy, 50);
    assert_eq!(pool.adopt_records(&[(id(0), read_back.clone())], |_| true, at(51)), 0);
    let node = pool.node(id(0)).unwrap();
    assert!(node.quarantine().is_some());
    assert_eq!(pool.adopt_records(&[(id(0), read_back)], |_| false, at(51)), 1);
    assert!(node.quarantine().is_none() && node.routable());
    let caught = Quarantine { code: "tampering".into(), since: at(55) };
    let caught = Record { quarantine: Some(caught), ..record(State::Healthy, 55) };
    pool.adopt_records(&[(id(0), caught)], |_| true, at(56));
    assert!(node.quarantine().is_some() && !node.routable());
    assert!(own.is_empty());
    check(&pool);
}

#[test]
fn a_record_from_a_clock_that_is_ahead_is_not_waited_for() {
    let pool = healthy(1);
    pool.adopt_records(&[(id(0), record(State::Dead, 100_000))], |_| false, at(10));
    assert_eq!(pool.node(id(0)).unwrap().record().last_checked, Some(at(10)));
    pool.adopt_records(&[(id(0), record(State::Healthy, 11))], |_| false, at(12));
    assert_eq!(pool.node(id(0)).unwrap().state(), State::Healthy);
}

#[test]
fn adopted_changes_are_told_to_those_who_show_them_and_not_to_the_writer() {
    let pool = pool();
    let (all, own) = (pool.watch(), pool.watch_own());
    let other = healthy(2);
    let nodes: Vec<_> = other.snapshot().nodes().map(|node| stored(node)).collect();
    let applied = pool.adopt(nodes, |_| false, at(2));
    assert_eq!((applied.added, pool.snapshot().counts().healthy), (2, 2));
    assert_eq!(all.take(9).iter().map(|changed| changed.kind).collect::<Vec<_>>(), [ChangeKind::Added; 2]);
    pool.report(id(0), &ok(5), at(3));
    assert!(own.pending(id(0)) == Some(ChangeKind::Record) && own.pending(id(1)).is_none());
    assert_eq!(pool.adopt_removals(&[id(0), id(1), id(7)]), 2);
    assert_eq!(own.take(9), [ChangedNode { id: id(0), kind: ChangeKind::Record }], "not as removed by this process");
    check(&pool);
}

#[test]
fn a_node_that_is_banned_here_is_not_taken_over() {
    let pool = pool();
    pool.ban([id(0)]);
    let nodes: Vec<_> = healthy(2).snapshot().nodes().map(|node| stored(node)).collect();
    assert_eq!(pool.adopt(nodes, |_| false, at(2)).banned, 1);
    assert!(pool.node(id(0)).is_none());
}

#[test]
fn what_this_process_merges_is_told_by_source_and_what_it_takes_over_is_not() {
    let pool = healthy(3);
    assert!(pool.take_own_lists().is_empty(), "nobody wanted to know");
    pool.keep_own_lists();
    pool.apply(listing("s", 0..3), at(3));
    assert!(pool.take_own_lists().is_empty(), "nothing has changed");
    let sorted = |nodes: &[u32]| {
        let mut ids: Vec<NodeId> = nodes.iter().map(|n| id(*n)).collect();
        ids.sort_unstable();
        ids
    };
    let taken = || {
        let mut lists = pool.take_own_lists();
        lists.iter_mut().for_each(|list| list.ids.sort_unstable());
        lists
    };
    let whole = |source: &str, nodes: &[u32]| OwnList { source: source.into(), ids: sorted(nodes), complete: true };
    pool.apply(listing("s", [0, 1, 2, 3]), at(4));
    pool.apply(listing("s", [0, 2, 5]), at(5));
    pool.apply(listing("t", [5, 6]), at(5));
    assert_eq!(taken(), [whole("s", &[0, 2, 5]), whole("t", &[5, 6])]);
    let more = |nodes: &[u32]| PoolChange::List {
        source: "u".into(),
        allow_private: false,
        nodes: nodes.iter().map(|n| (spec(*n), Label::default())).collect(),
        complete: false,
    };
    pool.apply(more(&[7]), at(6));
    pool.apply(more(&[8]), at(6));
    assert_eq!(taken(), [OwnList { complete: false, ..whole("u", &[7, 8]) }], "added to what others have listed");
    pool.apply(more(&[9]), at(6));
    pool.unlist_nodes(&"u".into(), &[id(7), id(0)], at(6));
    assert_eq!(taken(), [whole("u", &[8, 9])], "what was taken off a list leaves a whole one");
    pool.unlist_nodes(&"u".into(), &[id(7)], at(6));
    assert!(taken().is_empty(), "it was not on the list any more");
    pool.apply(listing("t", [0, 6]), at(7));
    let _ = pool.take_own_lists();
    pool.apply(listing("t", [6]), at(7));
    assert_eq!(taken(), [whole("t", &[6])], "a node that another source lists as well");
    pool.apply(listing("t", [7]), at(7));
    pool.apply(PoolChange::DropSource("t".into()), at(7));
    let nodes = healthy(9).snapshot().nodes().map(|node| stored(node)).collect();
    pool.adopt(nodes, |_| false, at(8));
    assert!(taken().is_empty());
}

#[test]
fn bans_of_other_processes_are_no_changes_of_this_one() {
    let pool = pool();
    let ban = |until| SiteBan {
        site: "a.example".into(),
        exit: [192, 0, 2, 1].into(),
        since: at(0),
        until: at(until),
        reason: "test".into(),
    };
    pool.adopt_exit_ban(ban(50));
    assert!(pool.take_exit_ban_changes().is_empty());
    assert_eq!(pool.exit_bans(at(1)), [ban(50)]);
    pool.ban_exit(ban(90));
    pool.adopt_exit_ban(ban(50));
    pool.adopt_exit_ban_end("a.example", [192, 0, 2, 1].into());
    assert_eq!(pool.exit_bans(at(1)), [ban(90)], "what waits to be written is newer");
    assert_eq!(pool.take_exit_ban_changes().len(), 1);
    pool.adopt_exit_ban_end("a.example", [192, 0, 2, 1].into());
    assert!(pool.exit_bans(at(1)).is_empty() && pool.take_exit_ban_changes().is_empty());
}
