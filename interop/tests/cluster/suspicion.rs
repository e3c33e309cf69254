//! What a gateway sees of a node is told to the prober that owns it, which looks at once.

use std::time::{Duration, Instant};

use hezar_interop::harness::PATIENCE;
use hezar_lab::Fault;

use crate::{
    load::request,
    stage::{Stage, id, know_healthy},
};

const NODES: usize = 6;
const DYING: usize = 2;

#[test]
fn what_a_gateway_suspects_its_prober_looks_at() {
    let Some((mut stage, [])) = Stage::open("cluster: suspicion", NODES, []) else { return };
    // After the first probes the prober looks at nothing by itself for an hour.
    stage.cluster.probe = "interval = \"1h\"\ntimeout = \"5s\"\n".to_owned();
    let _fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let prober = stage.cluster.member("prober", "probe,api").unwrap();
    let gateways = stage.cluster.gateways(2).unwrap();
    know_healthy(gateways.iter().chain([&prober]), NODES);
    let dying: Vec<String> = stage.world.nodes()[..DYING].iter().map(|node| id(&node.link)).collect();
    (0..DYING).for_each(|index| stage.set_fault(index, Fault::Refused));
    let began = Instant::now();
    let suspects = |prober: &hezar_lab::cluster::Member| {
        dying.iter().filter(|id| matches!(prober.state(id).as_deref(), Some("suspect" | "dead"))).count()
    };
    // Requests go on meanwhile: each is served by another node.
    while suspects(&prober) < DYING {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {}", prober.log());
        request(gateways[0].proxy, None).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("cluster: a prober has looked at what a gateway suspects after {} ms", began.elapsed().as_millis());
    know_healthy([&gateways[1]], NODES - DYING);
}
