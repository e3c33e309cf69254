//! Who gets which slot, and when it may be dialled.

use std::{net::IpAddr, time::Duration};

use hezar_core::{NodeSpec, Outbound, ShadowsocksR, Target};
use tokio::time::{advance, timeout};

use hezar_engine::Cause;

use super::*;

fn node(number: u16) -> Arc<CoreNode> {
    let ssr = ShadowsocksR {
        method: "aes-256-cfb".into(),
        password: "p".into(),
        protocol: "auth_aes128_md5".into(),
        protocol_param: "".into(),
        obfs: "plain".into(),
        obfs_param: "".into(),
    };
    let server = Target::parse(&format!("192.0.2.1:{number}")).unwrap();
    CoreNode::new(NodeSpec::new(server, Outbound::ShadowsocksR(Box::new(ssr))), AddressPolicy::PublicOnly)
}

fn addresses(last: u8) -> Addresses {
    [IpAddr::from([192, 0, 2, last])].into()
}

/// A table whose core serves.
fn up(most: usize) -> Arc<SlotTable> {
    let table = SlotTable::new(2, most);
    drop(table.lease(&node(1), &addresses(1)).unwrap());
    table.set_up(1, std::process::id(), vec!["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]);
    table
}

async fn is_ready(lease: &SlotLease) -> bool {
    timeout(Duration::from_millis(1), lease.ready()).await.is_ok_and(|ready| ready.is_ok())
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_dialled_when_the_core_knows_what_is_in_it() {
    let table = up(4);
    let lease = table.lease(&node(1), &addresses(1)).unwrap();
    assert!(!is_ready(&lease).await);
    timeout(Duration::from_secs(1), table.changed()).await.unwrap();
    let plan = table.plan();
    assert!(timeout(Duration::from_secs(1), table.changed()).await.is_err(), "nothing more to tell");
    table.publish(&plan);
    let access = lease.ready().await.unwrap();
    assert_eq!((access.start, access.user), (1, plan.slots[0].user));
    drop(table.lease(&node(1), &addresses(2)).unwrap());
    assert!(is_ready(&lease).await, "a name may lead to several addresses");
    advance(Duration::from_secs(61)).await;
    // The server has moved: what the core knows does not hold any more.
    let moved = table.lease(&node(1), &addresses(2)).unwrap();
    assert!(!is_ready(&moved).await && !is_ready(&lease).await);
    table.publish(&plan);
    assert!(!is_ready(&moved).await, "an old plan says nothing");
    table.publish(&table.plan());
    assert!(is_ready(&moved).await);
    assert!(moved.is_current(1) && !moved.is_current(2));
}

#[tokio::test(start_paused = true)]
async fn slots_in_use_are_never_taken_and_the_others_in_turn() {
    let table = up(3);
    let first = table.lease(&node(1), &addresses(1)).unwrap();
    let second = table.lease(&node(2), &addresses(1)).unwrap();
    let third = table.lease(&node(3), &addresses(1)).unwrap();
    assert_eq!(table.plan().blocks, [2, 1], "another block was added");
    assert!(matches!(table.lease(&node(4), &addresses(1)), Err(Cause::CoreUnavailable(_))));
    drop(second);
    let fourth = table.lease(&node(4), &addresses(1)).unwrap();
    assert!(matches!(table.lease(&node(2), &addresses(1)), Err(Cause::CoreUnavailable(_))));
    drop((first, third, fourth));
    assert_eq!((table.counts().nodes, table.counts().in_use), (3, 0));
    // A node that was not used since the hand has passed goes before one that was.
    drop(table.lease(&node(5), &addresses(1)).unwrap());
    assert_eq!(table.counts().nodes, 3);
}

#[tokio::test(start_paused = true)]
async fn while_the_core_is_down_a_dial_waits_for_a_moment() {
    let table = up(4);
    let lease = table.lease(&node(1), &addresses(1)).unwrap();
    table.publish(&table.plan());
    table.set_down();
    assert!(!lease.is_current(1));
    let waiting = tokio::spawn({
        let table = Arc::clone(&table);
        async move { table.lease(&node(1), &addresses(1)).unwrap().ready().await.map(|access| access.start) }
    });
    tokio::task::yield_now().await;
    table.set_up(2, std::process::id(), vec!["127.0.0.1:3".parse().unwrap()]);
    table.publish(&table.plan());
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
    table.set_down();
    assert!(matches!(lease.ready().await, Err(Cause::CoreUnavailable(_))));
    advance(Duration::from_secs(100)).await;
    // Nobody needs it: the next one who does has the whole time again.
    drop(lease);
    table.set_idle();
    let lease = table.lease(&node(1), &addresses(1)).unwrap();
    timeout(Duration::from_secs(1), table.changed()).await.unwrap();
    assert!(timeout(Duration::from_secs(2), lease.ready()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_core_that_nobody_needs_is_not_started_for_what_it_was_not_told() {
    let table = up(4);
    let lease = table.lease(&node(1), &addresses(1)).unwrap();
    // It ends at every start: nothing can be told.
    table.set_down();
    table.forget_proofs();
    table.set_idle();
    timeout(Duration::from_secs(1), table.changed()).await.unwrap();
    drop(lease);
    table.set_idle();
    assert!(timeout(Duration::from_secs(1), table.changed()).await.is_err());
    let _lease = table.lease(&node(1), &addresses(1)).unwrap();
    timeout(Duration::from_secs(1), table.changed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_node_is_told_why_and_leaves_its_slot() {
    let table = up(2);
    let lease = table.lease(&node(1), &addresses(1)).unwrap();
    let plan = table.plan();
    table.refuse(0, &plan.slots[0], "no such cipher");
    let Err(Cause::CoreRefused(reason)) = lease.ready().await else { panic!("it is refused") };
    assert_eq!(&*reason, "no such cipher");
    assert!(matches!(table.lease(&node(1), &addresses(1)), Err(Cause::CoreRefused(_))));
    assert!(table.plan().slots[0].node.is_none(), "the core is not told again");
    drop(lease);
    let (second, third) =
        (table.lease(&node(2), &addresses(1)).unwrap(), table.lease(&node(3), &addresses(1)).unwrap());
    assert_eq!(table.counts().nodes, 2);
    assert_eq!(table.refused().len(), 1);
    table.publish(&table.plan());
    assert!(is_ready(&second).await && is_ready(&third).await);
}

#[tokio::test(start_paused = true)]
async fn what_the_core_has_taken_is_known_until_it_may_be_another_one() {
    let table = up(2);
    let _lease = table.lease(&node(1), &addresses(1)).unwrap();
    assert_eq!(table.plan().unproven(), [0]);
    table.publish(&table.plan());
    assert_eq!(table.plan().unproven(), [0; 0]);
    table.forget_proofs();
    assert_eq!(table.plan().unproven(), [0]);
    let without = table.plan().without(&[0]);
    assert!(without.slots[0].node.is_none() && without.unproven().is_empty());
}
