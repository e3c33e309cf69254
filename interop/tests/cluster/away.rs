//! The database is away, killed, or another one: nobody who asks a gateway notices, and what was measured meanwhile is there afterwards.

use std::{thread::sleep, time::Duration};

use hezar_interop::harness::eventually;
use hezar_lab::{Fault, postgres::PostgresServer};

use crate::{
    balancer::Balancer,
    load::{Load, failures},
    stage::{Member, Stage, id},
};

const NODES: usize = 12;
const RATE: u32 = 30;
/// How long the database is away.
const AWAY: Duration = Duration::from_secs(12);

/// A fetcher, two probers and three gateways that know all nodes.
struct Cluster {
    others: Vec<Member>,
    gateways: Vec<Member>,
}

impl Cluster {
    fn start(stage: &Stage) -> Self {
        let roles = [("fetcher", "fetch,api"), ("prober-1", "probe,api"), ("prober-2", "probe,api")];
        let others = roles.map(|(name, roles)| stage.member(name, roles)).into();
        let cluster = Self { others, gateways: stage.gateways(3) };
        stage.know_healthy(&cluster.members(), NODES as u64);
        cluster
    }

    fn members(&self) -> Vec<&Member> {
        self.others.iter().chain(&self.gateways).collect()
    }

    fn load(&self) -> Load {
        Load::start(self.gateways.iter().map(|gateway| gateway.proxy).collect(), RATE)
    }
}

/// What the store says of the states of nodes, healthy ones in front.
fn stored(server: &PostgresServer, state: &str) -> i64 {
    server.sql("hezar", &format!("SELECT count(*) FROM records WHERE state = '{state}'")).unwrap().parse().unwrap()
}

#[test]
fn the_database_may_be_away_and_killed_under_load() {
    let Some((mut stage, [])) = Stage::open("cluster: away", NODES, []) else { return };
    let cluster = Cluster::start(&stage);
    let load = cluster.load();
    stage.server.stop().unwrap();
    // Meanwhile a node dies: a prober finds out, and keeps it for later.
    stage.in_world(stage.world.set_fault(0, Fault::Refused)).unwrap();
    sleep(AWAY);
    for gateway in &cluster.gateways {
        assert!(gateway.is_ready(), "{}: {}", gateway.name, gateway.log());
    }
    stage.server.start().unwrap();
    eventually("the verdict of the time without the database", || (stored(&stage.server, "dead") == 1).then_some(()));
    stage.know_healthy(&cluster.members(), (NODES - 1) as u64);

    stage.server.kill().unwrap();
    stage.in_world(stage.world.set_fault(0, Fault::Healthy)).unwrap();
    stage.server.start().unwrap();
    stage.know_healthy(&cluster.members(), NODES as u64);
    eventually("the verdict after the database was killed", || (stored(&stage.server, "dead") == 0).then_some(()));
    let requests = load.end();
    let failed = failures(&requests);
    println!("cluster: {} requests while the database was away and killed, {} failed", requests.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_standby_takes_the_database_over_under_load() {
    let Some((mut stage, [haproxy])) = Stage::open("cluster: failover", NODES, ["haproxy"]) else { return };
    let mut standby = stage.server.standby().unwrap();
    // Clients reach whichever server takes changes, as behind a balancer of a provider.
    let ports = [stage.server.port(), standby.port()].map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let balancer = Balancer::first_of(&haproxy, &ports);
    let port = balancer.address.port();
    stage.store = stage.store.replace(&format!(":{}/", stage.server.port()), &format!(":{port}/"));
    let cluster = Cluster::start(&stage);
    let load = cluster.load();
    stage.server.kill().unwrap();
    standby.promote().unwrap();
    stage.in_world(stage.world.set_fault(0, Fault::Refused)).unwrap();
    eventually("a verdict in the new primary server", || (stored(&standby, "dead") == 1).then_some(()));
    stage.know_healthy(&cluster.members(), (NODES - 1) as u64);
    let dead = id(&stage.world.nodes()[0].link);
    for member in cluster.members() {
        assert_eq!(member.state(&dead).as_deref(), Some("dead"), "{}", member.name);
    }
    let requests = load.end();
    let failed = failures(&requests);
    println!("cluster: {} requests over a failover of the database, {} failed", requests.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
    standby.stop().unwrap();
}
