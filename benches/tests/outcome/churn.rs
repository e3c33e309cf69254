//! Nodes come and go under tunnels that run through them: none of the tunnels breaks, whichever way its node goes.

use std::time::Duration;

use hezar_bench::{
    chaos::{self, Load, Tally},
    churn::{List, exchange, live},
};
use hezar_gateway::GatewayConfig;
use hezar_lab::{DEMO_HOST, ECHO_HOST, Kind, World, WorldConfig};
use hezar_pool::{PoolChange, Strategy};
use tokio::{net::TcpStream, sync::watch, task::JoinSet, time::interval};

use crate::stage::Stage;

async fn exchange_all(tunnels: &mut [TcpStream], round: u64) {
    for (number, tunnel) in tunnels.iter_mut().enumerate() {
        exchange(tunnel, (round << 32) | number as u64).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_outlives_its_node_whatever_that_speaks() {
    let world = World::start(WorldConfig::healthy(Kind::ALL.len())).await.unwrap();
    let strategy = Strategy::RoundRobin;
    let stage = Stage::open(GatewayConfig { strategy, ..GatewayConfig::default() }).await;
    stage.list(&world.links());
    let mut tunnels = Vec::new();
    for _ in 0..3 * Kind::ALL.len() {
        tunnels.push(chaos::tunnel(stage.proxy, ECHO_HOST, 7).await.unwrap());
    }
    exchange_all(&mut tunnels, 0).await;
    assert!(world.nodes().iter().all(|node| world.counts(node.index).unwrap().served > 0), "each carries one");
    let nodes: Vec<_> = stage.pool.snapshot().nodes().map(|node| node.id()).collect();

    // Out of the configuration, with which the permission for these addresses ends; out of the list; out of the pool.
    stage.change(PoolChange::DropSource("lab".into()));
    exchange_all(&mut tunnels, 1).await;
    stage.list(&world.links());
    let unlisted = stage.list("socks5://127.0.0.1:9\n").unlisted;
    exchange_all(&mut tunnels, 2).await;
    stage.change(PoolChange::DropSource("lab".into()));
    let removed = stage.change(PoolChange::Remove(nodes.clone())).removed;
    exchange_all(&mut tunnels, 3).await;
    assert_eq!((unlisted, removed, stage.pool.snapshot().counts().total()), (nodes.len(), nodes.len(), 1));
    assert!(chaos::tunnel(stage.proxy, DEMO_HOST, 80).await.is_err(), "what is gone carries nothing new");
    exchange_all(&mut tunnels, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_breaks_while_the_nodes_are_exchanged() {
    let world = World::start(WorldConfig::kinds([Kind::Socks5; 8])).await.unwrap();
    let stage = Stage::open(GatewayConfig::default()).await;
    let servers = world.nodes().iter().map(|node| node.address).collect();
    let time = Duration::from_secs(4);
    let list = List::new(servers, 80, 160);
    let text = || list.listed().map(|number| list.link(number)).collect::<String>();
    stage.list(&text());
    let (stop, stopped) = watch::channel(false);
    let tunnels: JoinSet<_> =
        (0..30).map(|number| live(stage.proxy, number, Duration::from_millis(20), stopped.clone())).collect();
    let limit = Duration::from_secs(120);
    let load = Load::at_rate(stage.proxy, 40.0, time, limit, world.root());
    let mut requests = Box::pin(chaos::run(&load));
    list.begin(time);
    let mut turns = interval(Duration::from_millis(50));
    let (mut known, mut gone) = (stage.pool.snapshot(), 0);
    let shots = loop {
        tokio::select! {
            shots = &mut requests => break shots.unwrap(),
            _ = turns.tick() => {
                stage.list(&text());
                let left = known.nodes().filter(|node| !node.listed_by("lab")).map(|node| node.id()).collect();
                gone += stage.change(PoolChange::Remove(left)).removed;
                known = stage.pool.snapshot();
            }
        }
    };
    stop.send_replace(true);
    let lives = tunnels.join_all().await;
    let broken: Vec<_> = lives.iter().filter_map(|life| life.broken.as_ref()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let tally = Tally::of(&shots);
    assert_eq!((tally.right, tally.all), (160, 160), "{:#?}", tally.wrong);
    assert!(gone >= 80, "only {gone} went: the first ones are still there");
    assert_eq!(known.counts().total(), 80);
}
