//! What happens to a node at one member is seen by every gateway: that it is added, dies, works again and is removed.

use std::time::{Duration, Instant};

use hezar_interop::harness::PATIENCE;
use hezar_lab::{
    Fault,
    cluster::{Member, dead_links},
};

use crate::{
    load::percentile,
    stage::{Stage, id, know_healthy},
};

/// Nodes that work, the first of which everything happens to.
const NODES: usize = 12;
const CHANGED: usize = 4;
/// Nodes that never work, which make the pool larger.
const DEAD: u32 = 2000;

#[test]
fn what_happens_to_a_node_is_seen_by_every_gateway() {
    let Some((stage, [])) = Stage::open("cluster: visible", NODES, []) else { return };
    let (cluster, all) = (&stage.cluster, stage.world.links());
    let links: Vec<&str> = all.lines().collect();
    let without: String = links[CHANGED..].iter().map(|link| format!("{link}\n")).collect();
    cluster.list(&(without.clone() + &dead_links(DEAD))).unwrap();
    let fetcher = cluster.member("fetcher", "fetch,api").unwrap();
    let probers = [cluster.member("prober-1", "probe,api").unwrap(), cluster.member("prober-2", "probe,api").unwrap()];
    let gateways = cluster.gateways(3).unwrap();
    let known: Vec<&Member> = gateways.iter().collect();
    know_healthy(&gateways, NODES - CHANGED);

    let ids: Vec<String> = links[..CHANGED].iter().map(|link| id(link)).collect();
    let probed: Vec<&Member> = probers.iter().collect();
    let report = |what: &str, mut times: Vec<Duration>| {
        let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
        println!(
            "cluster: a node that {what} is seen by 3 gateways after p50 {p50} ms, p99 {p99} ms ({} seen)",
            times.len()
        );
    };
    cluster.list(&(all.clone() + &dead_links(DEAD))).unwrap();
    report("is added", ids.iter().flat_map(|id| seen(&[&fetcher], &known, id, |state| state.is_some())).collect());
    know_healthy(&gateways, NODES);

    let is = |wanted: &'static str| move |state: Option<&str>| state == Some(wanted);
    for (fault, what, wanted) in [(Fault::Refused, "dies", "dead"), (Fault::Healthy, "works again", "healthy")] {
        for index in 0..CHANGED {
            stage.set_fault(index, fault);
        }
        report(what, ids.iter().flat_map(|id| seen(&probed, &known, id, is(wanted))).collect());
    }

    cluster.list(&(without + &dead_links(DEAD))).unwrap();
    let body = serde_json::json!({ "ids": ids }).to_string();
    let removed = gateways[0].ask("DELETE", "/api/v1/nodes", &body);
    assert!(removed.status / 100 == 2, "{}", removed.body);
    report(
        "is removed",
        ids.iter().flat_map(|id| seen(&known[..1], &known[1..], id, |state| state.is_none())).collect(),
    );
}

/// How long after the first of `origins` each of `seers` sees the state of a node that is waited for.
fn seen(origins: &[&Member], seers: &[&Member], id: &str, wanted: impl Fn(Option<&str>) -> bool) -> Vec<Duration> {
    let end = Instant::now() + PATIENCE;
    let (mut first, mut times) = (None, vec![None; seers.len()]);
    while times.iter().any(Option::is_none) {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {times:?} of {id}");
        if first.is_none() && origins.iter().any(|origin| wanted(origin.state(id).as_deref())) {
            first = Some(Instant::now());
        }
        for (seer, time) in seers.iter().zip(&mut times) {
            if time.is_none() && wanted(seer.state(id).as_deref()) {
                *time = Some(first.map_or(Duration::ZERO, |first: Instant| first.elapsed()));
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    times.into_iter().flatten().collect()
}
