//! The database takes no changes, as a standby or a full disk, or answers nothing at all: everybody serves on, and nothing that was
//! measured is lost.

use std::{fs, process::Command, thread::sleep, time::Duration};

use hezar_interop::harness::eventually;
use hezar_lab::{Fault, cluster::Member};

use crate::{
    load::{Load, failures, request},
    stage::{Stage, id, know_healthy},
};

const NODES: usize = 6;
const RATE: u32 = 20;
/// How long the database stands still.
const FROZEN: Duration = Duration::from_secs(8);

/// A fetcher, a prober and two gateways that know all nodes, and clients of the gateways.
fn serving(test: &str) -> Option<(Stage, [Member; 2], Vec<Member>, Load)> {
    let (stage, []) = Stage::open(test, NODES, [])?;
    let fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let prober = stage.cluster.member("prober", "probe,api").unwrap();
    let gateways = stage.cluster.gateways(2).unwrap();
    know_healthy(gateways.iter().chain([&prober]), NODES);
    let load = Load::start(gateways.iter().map(|gateway| gateway.proxy).collect(), RATE);
    Some((stage, [fetcher, prober], gateways, load))
}

#[test]
fn a_database_that_takes_no_changes_costs_nobody_a_request() {
    let Some((stage, [_fetcher, prober], gateways, load)) = serving("cluster: refusing") else { return };
    let set = |value: &str| {
        stage.cluster.sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).unwrap();
        stage.cluster.sql("SELECT pg_reload_conf()").unwrap();
    };
    set("on");
    stage.set_fault(0, Fault::Refused);
    let dead = id(&stage.world.nodes()[0].link);
    eventually("the prober finds out", || (prober.state(&dead)? == "dead").then_some(()));
    eventually("it says that it cannot write", || (prober.metric("hezar_store_behind_seconds") > 0.0).then_some(()));
    let setting = gateways[0].ask("PATCH", "/api/v1/settings", r#"{ "proxy.max_sessions": 4321 }"#);
    assert!(setting.body.contains("api-not-stored"), "{} {}", setting.status, setting.body);
    set("off");
    for gateway in &gateways {
        eventually("the verdict of that time", || (gateway.state(&dead)? == "dead").then_some(()));
    }
    eventually("everything is written", || (prober.metric("hezar_store_behind_seconds") == 0.0).then_some(()));
    assert_eq!(prober.metric("hezar_store_lost_total"), 0.0, "{}", prober.log());
    let requests = load.end();
    let failed = failures(&requests);
    println!("cluster: {} requests while the database took no changes, {} failed", requests.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_database_that_stands_still_costs_nobody_a_request() {
    let Some((stage, [_fetcher, _prober], gateways, load)) = serving("cluster: frozen") else { return };
    let server = stage.cluster.server.pid().unwrap();
    let frozen = Frozen::new(processes_of(server));
    // Sessions that begin meanwhile ask the database, and go on without its answer.
    let exits: Vec<u64> =
        (0..4).map(|n| request(gateways[0].proxy, Some(&format!("alice-session-f{n}"))).unwrap()).collect();
    stage.set_fault(0, Fault::Refused);
    sleep(FROZEN);
    // One that began at the node which fails now is served by any other one until the gateway hears that the node is dead.
    for (n, exit) in exits.iter().enumerate().filter(|(_, exit)| **exit != 0) {
        assert_eq!(request(gateways[0].proxy, Some(&format!("alice-session-f{n}"))).unwrap(), *exit);
    }
    drop(frozen);
    let dead = id(&stage.world.nodes()[0].link);
    for gateway in &gateways {
        eventually("the verdict of that time", || (gateway.state(&dead)? == "dead").then_some(()));
    }
    let requests = load.end();
    let failed = failures(&requests);
    println!("cluster: {} requests while the database stood still, {} failed", requests.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A server with the processes that it has started.
fn processes_of(server: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    std::iter::once(server).chain(children).collect()
}

/// Processes that stand still until this is dropped: nobody could end them before.
struct Frozen(Vec<u32>);

impl Frozen {
    fn new(processes: Vec<u32>) -> Self {
        signal("STOP", &processes);
        Self(processes)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("CONT", &self.0);
    }
}

fn signal(name: &str, processes: &[u32]) {
    let pids: Vec<String> = processes.iter().map(ToString::to_string).collect();
    // One that has ended meanwhile hears nothing.
    let _ = Command::new("kill").args(["-s", name]).args(pids).status();
}
