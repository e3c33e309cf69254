//! Connections are listed while they live, page by page, can be ended, and leave nothing behind.

use std::collections::BTreeSet;

use hezar_core::settings::ByteCount;
use proptest::prelude::*;

use super::*;
use crate::{Quota, Usage, UsedBytes};

fn about(user: &str) -> NewConnection {
    NewConnection {
        listener: "proxy".into(),
        inbound: "socks5",
        client: [127, 0, 0, 1].into(),
        user: user.into(),
        target: Target::parse("example.com:443").ok(),
        since: Timestamp(1),
        counters: Default::default(),
        account: None,
    }
}

fn code(open: &OpenConnection) -> Option<&'static str> {
    open.connection().end_reason().map(|reason| reason.code())
}

#[test]
fn a_quota_ends_whoever_moves_bytes_beyond_it() {
    let (registry, usage, now) = (Arc::new(Connections::default()), Usage::default(), Timestamp(1));
    let account = usage.account("alice");
    account.check(&Quota { total: Some(ByteCount(100)), ..Quota::default() }, now).unwrap();
    let open = || registry.open(NewConnection { account: Some(account.clone()), ..about("alice") });
    let (first, second, other) = (open(), open(), registry.open(about("bob")));
    first.connection().add_bytes(0, 60);
    assert_eq!((code(&first), first.connection().allowance(), other.connection().allowance()), (None, 40, u64::MAX));
    second.connection().add_bytes(1, 40);
    assert_eq!((code(&first), code(&second)), (None, Some("quota-exceeded")));
    first.connection().add_bytes(1, 0);
    other.connection().add_bytes(1000, 1000);
    assert_eq!((code(&first), code(&other)), (Some("quota-exceeded"), None));
    assert_eq!(usage.summary("alice", now).total, UsedBytes { up: 2, down: 100 });
}

#[test]
fn connections_of_refused_users_end_with_the_reason() {
    let (registry, usage) = (Arc::new(Connections::default()), Usage::default());
    let open = |user: &str, listener: &str| {
        let account = Some(usage.account(user));
        registry.open(NewConnection { account, listener: listener.into(), ..about(user) })
    };
    let open = [open("alice", "proxy"), open("alice", "other"), open("bob", "proxy"), registry.open(about("alice"))];
    registry.end_refused("proxy", |user| if user == "alice" { Err(Refusal::UserDisabled) } else { Ok(()) });
    assert_eq!(open.each_ref().map(code), [Some("user-disabled"), None, None, None]);
}

#[test]
fn bytes_count_while_they_flow_and_in_the_counters_too() {
    let (registry, counters) = (Arc::new(Connections::default()), ByteCounters::default());
    let open = registry.open(NewConnection { counters: [counters.clone(), ByteCounters::default()], ..about("alice") });
    open.connection().add_bytes(5, 0);
    open.connection().add_bytes(1, 7);
    open.connection().set_node(NodeId::from_bytes([3; 16]), Some([192, 0, 2, 1].into()));
    let info = registry.list(0, 10).remove(0);
    assert_eq!((info.up, info.down, info.exit), (6, 7, Some([192, 0, 2, 1].into())));
    assert_eq!((counters.up.get(), counters.down.get()), (6, 7));
    drop(open);
    assert!(registry.is_empty() && registry.list(0, 10).is_empty());
    assert_eq!(counters.down.get(), 7, "what was counted stays");
}

#[test]
fn the_bytes_of_a_node_are_those_of_all_its_connections() {
    let registry = Arc::new(Connections::default());
    let node = |number| NodeId::from_bytes([number; 16]);
    let carry = |number, up, down| {
        let open = registry.open(about("alice"));
        open.connection().set_node(node(number), None);
        open.connection().add_bytes(up, down);
        open
    };
    drop((carry(1, 10, 20), carry(2, 0, 0)));
    let alive = carry(1, 1, 2);
    drop(registry.open(about("alice")));
    assert_eq!(registry.bytes_by_node(), HashMap::from([(node(1), (11, 22))]));
    let requests = |number| registry.traffic_by_node()[&node(number)].requests;
    assert_eq!((requests(1), requests(2)), (2, 1));
    drop(alive);
    assert_eq!(registry.bytes_by_node(), HashMap::from([(node(1), (11, 22))]), "counted once");
    assert_eq!((requests(1), requests(2)), (2, 1));
}

#[test]
fn exits_in_use_are_those_of_connections_that_are_alive() {
    let registry = Arc::new(Connections::default());
    let open = |number: u8, exit: Option<u8>| {
        let open = registry.open(about("alice"));
        open.connection().set_node(NodeId::from_bytes([number; 16]), exit.map(|last| [192, 0, 2, last].into()));
        open
    };
    let waiting = registry.open(about("alice"));
    let alive = [open(1, Some(1)), open(2, Some(1)), open(3, Some(3)), open(4, None), open(5, None), open(5, None)];
    assert_eq!(registry.exits_in_use(), 4);
    drop((alive, waiting));
    assert_eq!(registry.exits_in_use(), 0);
}

#[test]
fn one_can_be_ended_or_all_of_a_user() {
    let registry = Arc::new(Connections::default());
    let open: Vec<_> = ["alice", "bob", "alice"].map(|user| registry.open(about(user))).into();
    let ended = || open.iter().map(|open| open.connection().end().is_cancelled()).collect::<Vec<_>>();
    assert!(registry.end(open[1].connection().id) && !registry.end(4) && !registry.end(u64::MAX));
    assert_eq!(ended(), [false, true, false]);
    assert_eq!(registry.end_matching(|info| &*info.user == "alice"), 2);
    assert_eq!(ended(), [true, true, true]);
}

proptest! {
    /// Whatever comes and goes, the pages together are those that are open, each once and in order.
    #[test]
    fn pages_hold_each_open_connection_once(ends in proptest::collection::vec(any::<bool>(), 0..200), page in 1..50_usize) {
        let registry = Arc::new(Connections::default());
        let open: Vec<_> = ends.iter().map(|_| registry.open(about("alice"))).collect();
        let open: Vec<_> = open.into_iter().zip(&ends).filter(|(_, ends)| !**ends).map(|(open, _)| open).collect();
        let expected: Vec<_> = open.iter().map(|open| open.connection().id).collect();
        let (mut after, mut found) = (0, Vec::new());
        loop {
            let listed = registry.list(after, page);
            prop_assert!(listed.len() <= page);
            let Some(last) = listed.last() else { break };
            after = last.id;
            found.extend(listed.iter().map(|info| info.id));
        }
        prop_assert_eq!(found.iter().copied().collect::<BTreeSet<_>>().len(), found.len());
        prop_assert_eq!(found, expected);
        prop_assert_eq!(registry.len(), open.len());
    }
}
