//! Nodes turn bad and good while clients ask: nothing is lost, and nothing that may act twice arrives twice.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use hezar_bench::chaos::{self, Arrivals, Load, Tally};
use hezar_gateway::GatewayConfig;
use hezar_lab::{DEMO_HOST, Distances, Fault, FaultSchedule, LEDGER_HOST, World, WorldConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::stage::Stage;

/// A gateway over every node of the world, all of them good at first.
async fn gateway(world: &World, config: GatewayConfig) -> SocketAddr {
    let stage = Stage::open(config).await;
    assert_eq!(stage.list(&world.links()).added, world.nodes().len());
    stage.proxy
}

/// Every way to be bad that leaves open connections alone: one that dies with a request in it loses it rightly.
fn faults() -> Vec<Fault> {
    let mut faults = FaultSchedule::PUBLIC.to_vec();
    faults.retain(|fault| *fault != Fault::Refused);
    faults.extend([
        Fault::ResetOnData,
        Fault::DenyTargets,
        Fault::CloseAfter(1),
        Fault::HangAfter(1),
        Fault::DieAfter(0),
    ]);
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_while_two_in_five_nodes_are_bad() {
    let world = World::start(WorldConfig::healthy(50)).await.unwrap();
    let config = GatewayConfig { attempts: 32, deadline: Duration::from_secs(120), ..GatewayConfig::default() };
    let proxy = gateway(&world, config).await;
    let schedule = FaultSchedule { seed: 4, bad: 0.4, dwell: Duration::from_millis(500), faults: faults() };
    let limit = Duration::from_secs(120);
    let load = Load::at_rate(proxy, 50.0, Duration::from_secs(6), limit, world.root());
    let shots = tokio::select! {
        ended = world.follow(&schedule) => panic!("the schedule ended: {ended:?}"),
        shots = chaos::run(&load) => shots.unwrap(),
    };
    let tally = Tally::of(&shots);
    assert_eq!((tally.right, tally.all), (300, 300), "{:#?}", tally.wrong);
    assert!(tally.exits > 10, "{} exits", tally.exits);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_over_far_nodes_either() {
    let distances = Distances { seed: 7, median: Duration::from_millis(20), sigma: 0.7, jitter: 0.2, loss: 0.01 };
    let world = World::start(WorldConfig::healthy(40).at_distances(&distances)).await.unwrap();
    let config = GatewayConfig { attempts: 32, deadline: Duration::from_secs(120), ..GatewayConfig::default() };
    let proxy = gateway(&world, config).await;
    let schedule = FaultSchedule { seed: 7, bad: 0.4, dwell: Duration::from_millis(500), faults: faults() };
    let load = Load::at_rate(proxy, 0.0, Duration::from_secs(3), Duration::from_secs(120), world.root());
    let load = Load { arrivals: Arrivals::Clients(12), ..load };
    let shots = tokio::select! {
        ended = world.follow(&schedule) => panic!("the schedule ended: {ended:?}"),
        shots = chaos::run(&load) => shots.unwrap(),
    };
    let tally = Tally::of(&shots);
    assert_eq!(tally.right, tally.all, "{:#?}", tally.wrong);
    assert!(tally.all >= 12, "every client asked at least once");
}

/// The ways in which a request that changes something can be made.
#[derive(Clone, Copy)]
enum Way {
    Absolute,
    Tunnel,
    Unknown,
}

async fn change(proxy: SocketAddr, way: Way, name: String) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(proxy).await?;
    let host = if matches!(way, Way::Unknown) { LEDGER_HOST } else { DEMO_HOST };
    let port = if matches!(way, Way::Unknown) { 9 } else { 80 };
    if !matches!(way, Way::Absolute) {
        stream.write_all(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
        stream.read_exact(&mut [0; 19]).await?;
    }
    let place = if matches!(way, Way::Absolute) { format!("http://{host}") } else { String::new() };
    let post = format!(
        "POST {place}/ledger/{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    );
    let said = if matches!(way, Way::Unknown) { format!("{name}\n") } else { post };
    stream.write_all(said.as_bytes()).await?;
    let mut answer = [0; 64];
    while stream.read(&mut answer).await? > 0 {
        if matches!(way, Way::Unknown) {
            return Ok(());
        }
    }
    Ok(())
}

/// Asks for changes while nodes are bad; tells how often each arrived.
async fn arrivals(config: GatewayConfig) -> BTreeMap<String, u64> {
    let world = World::start(WorldConfig::healthy(50)).await.unwrap();
    let proxy = gateway(&world, config).await;
    // Half of these pass the request on before they fail.
    let mut faults = faults();
    faults.extend([Fault::DieAfter(0), Fault::CloseAfter(0), Fault::HangAfter(0)].repeat(4));
    let schedule = FaultSchedule { seed: 5, bad: 0.6, dwell: Duration::from_millis(400), faults };
    let asking = async {
        let mut running = JoinSet::new();
        for number in 0..300_u64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let way = [Way::Absolute, Way::Tunnel, Way::Unknown][(number % 3) as usize];
            // What became of it matters only at the target.
            running.spawn(timeout(Duration::from_secs(3), change(proxy, way, format!("change-{number}"))));
        }
        running.join_all().await
    };
    tokio::select! {
        ended = world.follow(&schedule) => panic!("the schedule ended: {ended:?}"),
        _ = asking => {}
    }
    world.ledger().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_act_twice_never_arrives_twice() {
    let arrived = arrivals(GatewayConfig::default()).await;
    let twice: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(arrived.len() > 50, "{} of 300 arrived at all", arrived.len());
    assert!(
        arrived.keys().any(|name| name.starts_with("POST ")) && arrived.keys().any(|name| !name.starts_with("POST "))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_the_user_says_so() {
    let arrived = arrivals(GatewayConfig { repeat_unsafe: true, ..GatewayConfig::default() }).await;
    assert!(arrived.values().any(|times| *times > 1), "the same schedule does repeat what may be repeated");
}
