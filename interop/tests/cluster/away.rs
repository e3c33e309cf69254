//! The database is away, killed, or another one: nobody who asks a gateway notices, and what was measured meanwhile is there afterwards.

use std::{thread::sleep, time::Duration};

use hezar_interop::harness::eventually;
use hezar_lab::{
    Fault,
    cluster::{Cluster, Member},
    postgres::PostgresServer,
};

use crate::{
    load::{Load, failures},
    stage::{Stage, id, know_healthy},
};

const NODES: usize = 12;
const RATE: u32 = 30;
/// How long the database is away.
const AWAY: Duration = Duration::from_secs(12);

/// A fetcher, two probers and three gateways that know all nodes.
struct Members {
    others: Vec<Member>,
    gateways: Vec<Member>,
}

impl Members {
    fn start(cluster: &Cluster) -> Self {
        let roles = [("fetcher", "fetch,api"), ("prober-1", "probe,api"), ("prober-2", "probe,api")];
        let others = roles.map(|(name, roles)| cluster.member(name, roles).unwrap()).into();
        let members = Self { others, gateways: cluster.gateways(3).unwrap() };
        know_healthy(members.all(), NODES);
        members
    }

    fn all(&self) -> impl Iterator<Item = &Member> {
        self.others.iter().chain(&self.gateways)
    }

    fn load(&self) -> Load {
        Load::start(self.gateways.iter().map(|gateway| gateway.proxy).collect(), RATE)
    }
}

/// How many nodes are in a state, as a server has it.
fn stored(server: &PostgresServer, state: &str) -> i64 {
    server
        .sql(Cluster::DATABASE, &format!("SELECT count(*) FROM records WHERE state = '{state}'"))
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_database_may_be_away_and_killed_under_load() {
    let Some((mut stage, [])) = Stage::open("cluster: away", NODES, []) else { return };
    let members = Members::start(&stage.cluster);
    let load = members.load();
    stage.cluster.server.stop().unwrap();
    // Meanwhile a node dies: a prober finds out, and keeps it for later.
    stage.set_fault(0, Fault::Refused);
    sleep(AWAY);
    for gateway in &members.gateways {
        assert!(gateway.is_ready(), "{}: {}", gateway.name, gateway.log());
    }
    stage.cluster.server.start().unwrap();
    eventually("the verdict of the time without the database", || {
        (stored(&stage.cluster.server, "dead") == 1).then_some(())
    });
    know_healthy(members.all(), NODES - 1);

    stage.cluster.server.kill().unwrap();
    stage.set_fault(0, Fault::Healthy);
    stage.cluster.server.start().unwrap();
    know_healthy(members.all(), NODES);
    eventually("the verdict after the database was killed", || {
        (stored(&stage.cluster.server, "dead") == 0).then_some(())
    });
    let requests = load.end();
    let failed = failures(&requests);
    println!("cluster: {} requests while the database was away and killed, {} failed", requests.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_standby_takes_the_database_over_under_load() {
    let Some((mut stage, [haproxy])) = Stage::open("cluster: failover", NODES, ["haproxy"]) else { return };
    let mut standby = stage.cluster.server.standby().unwrap();
    // Clients reach whichever server takes changes, as behind a balancer of a provider.
    let ports =
        [stage.cluster.server.port(), standby.port()].map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let balancer = stage.cluster.first_of(&haproxy, &ports).unwrap();
    let port = balancer.address.port();
    stage.cluster.store =
        stage.cluster.store.replace(&format!(":{}/", stage.cluster.server.port()), &format!(":{port}/"));
    let members = Members::start(&stage.cluster);
    let load = members.load();
    stage.cluster.server.kill().unwrap();
    standby.promote().unwrap();
    stage.set_fault(0, Fault::Refused);
    eventually("a verdict in the new primary server", || (stored(&standby, "dead") == 1).then_some(()));
    know_healthy(members.all(), NODES - 1);
    let dead = id(&stage.world.nodes()[0].link);
    for member in members.all() {
        // Its copy may still say "suspect", which is no longer healthy either: the verdict follows within a second.
        let what = format!("the verdict at {}", member.name);
        eventually(&what, || (member.state(&dead)? == "dead").then_some(()));
    }
    let requests = load.end();
    let failed = failures(&requests);
    println!("cluster: {} requests over a failover of the database, {} failed", requests.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
    standby.stop().unwrap();
}
