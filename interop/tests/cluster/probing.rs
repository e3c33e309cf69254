//! Probers share the nodes: each node is probed once an interval, also when a prober dies, comes back or stands still.

use std::time::{Duration, Instant};

use hezar_interop::harness::eventually;
use hezar_lab::Fault;

use crate::stage::{Stage, id, know_healthy};

const NODES: usize = 30;
/// How long probes are counted.
const COUNTED: Duration = Duration::from_secs(12);
/// The interval of stage.rs.
const INTERVAL: Duration = Duration::from_secs(2);

/// Connections that the nodes have accepted: all of them are probes.
fn accepted(stage: &Stage) -> Vec<u64> {
    let nodes = stage.world.nodes();
    nodes.iter().map(|node| stage.world.counts(node.index).unwrap().accepted).collect()
}

/// Counts the probes of each node over a while; gives them per node and interval, of all and of the node with the most.
fn probes_per_interval(stage: &Stage) -> (f64, f64) {
    let (before, began) = (accepted(stage), Instant::now());
    std::thread::sleep(COUNTED);
    let (after, intervals) = (accepted(stage), began.elapsed().div_duration_f64(INTERVAL));
    let each: Vec<f64> = after.iter().zip(before).map(|(after, before)| (after - before) as f64 / intervals).collect();
    (each.iter().sum::<f64>() / NODES as f64, each.iter().copied().fold(0.0, f64::max))
}

#[test]
fn each_node_is_probed_once_an_interval_however_many_probe() {
    let Some((stage, [])) = Stage::open("cluster: probing", NODES, []) else { return };
    let _fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let mut probers = vec![
        stage.cluster.member("prober-1", "probe,api").unwrap(),
        stage.cluster.member("prober-2", "probe,api").unwrap(),
    ];
    know_healthy(&probers, NODES);
    report(&stage, 2);
    probers.push(stage.cluster.member("prober-3", "probe,api").unwrap());
    know_healthy(&probers, NODES);
    report(&stage, 3);

    // The nodes of one that is killed are probed by the others before long.
    probers[0].kill();
    let (killed, before) = (Instant::now(), accepted(&stage));
    let is_probed_again = || accepted(&stage).iter().zip(&before).all(|(after, before)| after > before).then_some(());
    eventually("a probe of every node by those who are left", is_probed_again);
    println!("cluster: every node is probed again {:.1} s after a prober was killed", killed.elapsed().as_secs_f64());
    probers[0].start_again().unwrap();
    know_healthy(&probers, NODES);
    report(&stage, 3);
}

/// What comes of a count; twice as many probes as there should be, or half of them, are a fault whatever the machine does.
fn report(stage: &Stage, probers: usize) {
    let (all, most) = probes_per_interval(stage);
    println!("cluster: {probers} probers: {all:.2} probes per node and interval, {most:.2} of the node with the most");
    assert!((0.4..1.6).contains(&all) && most < 3.0, "{all} and {most}");
}

#[test]
fn a_prober_that_stood_still_overwrites_nothing() {
    let Some((stage, [])) = Stage::open("cluster: standstill", NODES, []) else { return };
    let _fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let probers = [
        stage.cluster.member("prober-1", "probe,api").unwrap(),
        stage.cluster.member("prober-2", "probe,api").unwrap(),
    ];
    let gateway = stage.cluster.member("gateway", "gateway,api").unwrap();
    know_healthy(probers.iter().chain([&gateway]), NODES);
    probers[0].signal("STOP").unwrap();
    // All nodes die while it stands still: the other one finds out, those of the first one included.
    for index in 0..NODES / 2 {
        stage.set_fault(index, Fault::Refused);
    }
    know_healthy([&probers[1], &gateway], NODES - NODES / 2);
    probers[0].signal("CONT").unwrap();
    let dead: Vec<String> = stage.world.nodes()[..NODES / 2].iter().map(|node| id(&node.link)).collect();
    let end = Instant::now() + 3 * INTERVAL;
    while Instant::now() < end {
        for member in [&gateway, &probers[1]] {
            let revived: Vec<&String> =
                dead.iter().filter(|id| member.state(id).is_some_and(|state| state == "healthy")).collect();
            assert!(revived.is_empty(), "{} takes {revived:?} for healthy", member.name);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    know_healthy(probers.iter().chain([&gateway]), NODES - NODES / 2);
}
