//! Nodes turn bad and good while gateways are killed one after the other behind HAProxy: only what is inside a killed process is lost.

use std::{
    collections::HashMap,
    thread::sleep,
    time::{Duration, Instant},
};

use hezar_interop::harness::eventually;
use hezar_lab::Fault;

use crate::{
    load::{Load, failures},
    stage::{Stage, know_healthy},
};

const NODES: usize = 40;
const RATE: u32 = 20;
/// How long each gateway is left alone before it is killed, and dead before it comes back.
const REST: Duration = Duration::from_secs(3);

#[test]
fn only_what_is_inside_a_killed_gateway_is_lost() {
    let Some((stage, [haproxy])) = Stage::open("cluster: chaos", NODES, ["haproxy"]) else { return };
    let _fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let _probers =
        [stage.cluster.member("prober-1", "probe").unwrap(), stage.cluster.member("prober-2", "probe").unwrap()];
    let mut gateways = stage.cluster.gateways(3).unwrap();
    let balancer = stage.cluster.spray(&haproxy, &gateways).unwrap();
    know_healthy(&gateways, NODES);
    eventually("an answer over the balancer", || crate::load::request(balancer.address, None).ok());

    let turn = |bad: bool| {
        for index in (0..NODES).filter(|index| index % 5 < 2) {
            let fault = if bad { [Fault::Refused, Fault::Mute, Fault::Reset][index % 3] } else { Fault::Healthy };
            stage.set_fault(index, fault);
        }
    };
    turn(true);
    let load = Load::start(vec![balancer.address], RATE);
    let mut killed: Vec<Instant> = Vec::new();
    for gateway in &mut gateways {
        sleep(REST);
        gateway.kill();
        killed.push(Instant::now());
        sleep(REST);
        gateway.start_again().unwrap();
        eventually("a gateway that is back", || gateway.is_ready().then_some(()));
        turn(killed.len().is_multiple_of(2));
    }
    sleep(REST);
    let requests = load.end();
    let failed = failures(&requests);
    let is_inside =
        |began: Instant, ended: Instant| killed.iter().any(|at| began <= *at + Duration::from_secs(1) && ended >= *at);
    let inside = failed.iter().filter(|one| is_inside(one.began, one.ended)).count();
    let mut reasons: HashMap<&str, usize> = HashMap::new();
    failed.iter().for_each(|one| *reasons.entry(one.result.as_ref().unwrap_err()).or_default() += 1);
    println!(
        "cluster: {} requests at 40 % bad nodes while 3 gateways were killed: {} failed, {inside} of them under way at a kill: {reasons:?}",
        requests.len(),
        failed.len()
    );
    // A request that a killed gateway was serving is lost; nothing else is but for what 40 % bad nodes cost a single process.
    let others = failed.len() - inside;
    assert!(others * 50 <= requests.len(), "{reasons:?}");
}
