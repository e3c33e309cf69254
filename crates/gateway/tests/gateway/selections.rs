//! What a person has selected: requests leave through it first, and through others only when it cannot serve them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{Group, GroupMember, Timestamp};
use hezar_gateway::GatewayConfig;
use hezar_pool::{Origin, Outcome, PoolChange};

use crate::{
    clients::say,
    world::{Does, World, config, world},
};

/// The node that serves a request of this user name; the status when there is none.
async fn served_by(world: &World, user: &str) -> String {
    let login = STANDARD.encode(format!("{user}:x"));
    let request = format!(
        "GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\nProxy-Authorization: Basic {login}\r\nConnection: close\r\n\r\n"
    );
    let answer = String::from_utf8(say(world, request.as_bytes()).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if head.starts_with("HTTP/1.1 200 ") { body.to_owned() } else { head.lines().next().unwrap().to_owned() }
}

async fn select(world: &World, group: Group, member: Option<GroupMember>) {
    world.gateway.groups().select(&world.pool, &group, member).unwrap();
}

/// The nodes of even numbers are in Germany, the others in the United States.
const FOUR: [Does; 4] = [Does::Web; 4];

#[tokio::test]
async fn every_request_leaves_through_the_selected_node_until_it_is_given_up() {
    let world = world(config(), &FOUR).await;
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[2]))).await;
    for _ in 0..8 {
        assert_eq!(served_by(&world, "alice").await, "node-2");
    }
    select(&world, Group::Pool, None).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        seen.insert(served_by(&world, "alice").await);
    }
    assert_eq!(seen.len(), 4, "round-robin over all again");
}

#[tokio::test]
async fn a_request_for_a_country_or_a_session_is_not_changed_by_a_selection_in_the_pool() {
    let world = world(config(), &FOUR).await;
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[2]))).await;
    for _ in 0..6 {
        let american = served_by(&world, "alice-country-us").await;
        assert!(["node-1", "node-3"].contains(&american.as_str()), "{american}");
    }
    let session = served_by(&world, "alice-session-s1").await;
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[3]))).await;
    assert_eq!(served_by(&world, "alice-session-s1").await, session, "a session keeps its exit");
}

#[tokio::test]
async fn what_is_selected_in_a_country_serves_those_who_ask_for_it() {
    let world = world(config(), &FOUR).await;
    select(&world, Group::Country(*b"US"), Some(GroupMember::Node(world.ids[3]))).await;
    let mut others = std::collections::BTreeSet::new();
    for _ in 0..8 {
        assert_eq!(served_by(&world, "alice-country-us").await, "node-3");
        others.insert(served_by(&world, "alice").await);
    }
    assert_eq!(others.len(), 4, "{others:?}");
    select(&world, Group::Pool, Some(GroupMember::Country(*b"US"))).await;
    assert_eq!(served_by(&world, "alice").await, "node-3");
    select(&world, Group::Country(*b"US"), None).await;
    for _ in 0..4 {
        assert!(["node-1", "node-3"].contains(&served_by(&world, "alice").await.as_str()));
        assert!(["node-0", "node-2"].contains(&served_by(&world, "alice-country-de").await.as_str()));
    }
}

#[tokio::test]
async fn only_nodes_of_a_selected_source_serve_while_one_can() {
    let world = world(config(), &FOUR).await;
    let node = |n: usize| (world.pool.node(world.ids[n]).unwrap().spec().clone(), hezar_core::Label::default());
    let list = PoolChange::List { source: "mine".into(), allow_private: false, nodes: vec![node(1)], complete: true };
    world.pool.apply(list, Timestamp(1));
    select(&world, Group::Pool, Some(GroupMember::Source("mine".into()))).await;
    for _ in 0..6 {
        assert_eq!(served_by(&world, "alice").await, "node-1");
    }
    world.pool.apply(PoolChange::DropSource("mine".into()), Timestamp(2));
    assert_ne!(served_by(&world, "alice").await, "node-1", "a source without nodes leaves the whole pool");
}

#[tokio::test]
async fn a_selected_node_that_dies_is_passed_over_until_it_is_back() {
    let world = world(config(), &[Does::Web, Does::Refuse]).await;
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[1]))).await;
    // It fails once, in front of the one that serves; then its circuit is open, and it is not asked.
    for _ in 0..3 {
        assert_eq!(served_by(&world, "alice").await, "node-0");
    }
    assert_eq!(world.connects()[1], 1);
    assert_eq!(world.gateway.groups().get(&Group::Pool), Some(GroupMember::Node(world.ids[1])), "it stays selected");
    let success = Outcome::success(Origin::Probe, std::time::Duration::from_millis(5));
    world.pool.report(world.ids[1], &success, Timestamp(u64::MAX / 2));
    assert_eq!(served_by(&world, "alice").await, "node-0");
    assert_eq!(world.connects()[1], 2, "it works again, and is asked first");
}

#[tokio::test]
async fn a_strict_selection_serves_or_nothing_does() {
    let world = world(config(), &[Does::Web, Does::Refuse, Does::Web]).await;
    world.gateway.groups().set_strict(true);
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[1]))).await;
    for attempt in 1..=2 {
        let refused = served_by(&world, "alice").await;
        assert!(refused.starts_with("HTTP/1.1 50"), "{refused}");
        assert_eq!(world.connects(), [0, attempt, 0], "no other node is asked, and a resting one is");
    }
    assert_eq!(served_by(&world, "alice-country-de").await.len(), "node-0".len(), "other requests are not held to it");
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[2]))).await;
    assert_eq!(served_by(&world, "alice").await, "node-2");
    world.pool.apply(PoolChange::Remove(vec![world.ids[2]]), Timestamp(1));
    let refused = served_by(&world, "alice").await;
    assert!(refused.contains("no-match"), "{refused}");
}

#[tokio::test]
async fn a_listener_with_a_part_of_the_pool_keeps_to_it() {
    let mut world = world(config(), &FOUR).await;
    assert!(served_by(&world, "alice").await.starts_with("node-"));
    let term = hezar_pool::Term::Country(vec![*b"US"]);
    let filter = world.pool.add_filter(hezar_pool::Filter { term, max_latency: None, top: None }).unwrap();
    world.gateway.configure(GatewayConfig { filter: Some(filter), ..config() }).unwrap();
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[2]))).await;
    for _ in 0..4 {
        assert!(["node-1", "node-3"].contains(&served_by(&world, "alice").await.as_str()));
    }
    select(&world, Group::Pool, Some(GroupMember::Source("test".into()))).await;
    for _ in 0..4 {
        assert!(["node-1", "node-3"].contains(&served_by(&world, "alice").await.as_str()));
    }
    select(&world, Group::Pool, Some(GroupMember::Node(world.ids[3]))).await;
    assert_eq!(served_by(&world, "alice").await, "node-3");
    world.drain.cancel();
    (&mut world.serving).await.unwrap();
}
