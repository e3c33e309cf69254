//! A session comes out at one exit, whichever gateway serves it, and also when the gateway dies that served it first.

use std::collections::HashMap;

use hezar_interop::harness::eventually;

use crate::{balancer::Balancer, load::request, stage::Stage};

const NODES: usize = 10;
const SESSIONS: usize = 60;
const ROUNDS: usize = 5;

#[test]
fn a_session_keeps_its_exit_over_all_gateways() {
    let Some((stage, [haproxy])) = Stage::open("cluster: sessions", NODES, ["haproxy"]) else { return };
    let _fetcher = stage.member("fetcher", "fetch");
    let _prober = stage.member("prober", "probe");
    let mut gateways = stage.gateways(3);
    let balancer = Balancer::spraying(&haproxy, &gateways.iter().collect::<Vec<_>>());
    stage.know_healthy(&gateways.iter().collect::<Vec<_>>(), NODES as u64);

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
