//! A session comes out at one exit, whichever gateway serves it, and also when the gateway dies that served it first.

use std::collections::HashMap;

use hezar_interop::harness::eventually;

use crate::{
    load::request,
    stage::{Stage, know_healthy},
};

const NODES: usize = 10;
const SESSIONS: usize = 60;
const ROUNDS: usize = 5;

#[test]
fn a_session_keeps_its_exit_over_all_gateways() {
    let Some((stage, [haproxy])) = Stage::open("cluster: sessions", NODES, ["haproxy"]) else { return };
    let _fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let _prober = stage.cluster.member("prober", "probe").unwrap();
    let mut gateways = stage.cluster.gateways(3).unwrap();
    let balancer = stage.cluster.spray(&haproxy, &gateways).unwrap();
    know_healthy(&gateways, NODES);

    let mut exits: HashMap<usize, u64> = HashMap::new();
    let mut moved = 0;
    for round in 0..ROUNDS {
        for session in 0..SESSIONS {
            let user = format!("alice-session-s{session}");
            let exit = request(balancer.address, Some(&user)).unwrap();
            moved += usize::from(*exits.entry(session).or_insert(exit) != exit);
        }
        if round == ROUNDS / 2 {
            gateways[0].kill();
            eventually("the gateways that are left", || request(balancer.address, None).ok());
        }
    }
    let used: std::collections::HashSet<u64> = exits.values().copied().collect();
    println!(
        "cluster: {SESSIONS} sessions over 3 gateways, one killed: {moved} of {} requests elsewhere",
        SESSIONS * ROUNDS
    );
    assert!(used.len() > 1, "all sessions at one exit would prove nothing");
    assert_eq!(moved, 0, "{exits:?}");
}
