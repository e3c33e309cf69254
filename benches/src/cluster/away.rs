//! What clients notice of a database that is away, killed, or replaced by its standby.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use hezar_lab::{Fault, cluster::Cluster};
use tokio::time::sleep;

use super::{Arena, Size, id, line, memory_mib, shots, tell_shots, until_healthy};

/// How long the load goes on around what happens.
const AROUND: Duration = Duration::from_secs(10);
/// How long a verdict may take to be in the store.
const PATIENCE: Duration = Duration::from_secs(120);

/// The database is away for a while, and then killed.
#[derive(Clone, Debug, clap::Args)]
pub struct AwayRun {
    #[command(flatten)]
    size: Size,
    /// How long it is away, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Requests a second through all gateways.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
}

impl AwayRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start, or what was measured meanwhile is lost.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut arena = Arena::start(&self.size).await?;
        let changed = arena.world.nodes().first().map(|node| id(&node.link)).context("no node")??;
        let load = arena.load(self.rate, Duration::from_secs(self.seconds) + 4 * AROUND);
        sleep(AROUND).await;
        let before = memory(&arena);
        arena.cluster.server.stop()?;
        arena.set_faults([0], Fault::Refused).await?;
        sleep(Duration::from_secs(self.seconds)).await;
        let after = memory(&arena);
        arena.cluster.server.start()?;
        until_stored(&arena.cluster, &changed, "dead").await?;
        arena.cluster.server.kill()?;
        arena.set_faults([0], Fault::Healthy).await?;
        arena.cluster.server.start()?;
        until_stored(&arena.cluster, &changed, "healthy").await?;
        let shots = shots(load).await?;
        tell_shots(&format!("the database away for {} s, then killed", self.seconds), &shots);
        line("memory of all members before and after, MiB", format_args!("{before} and {after}"));
        ensure!(shots.iter().all(|shot| shot.result.is_ok()), "requests were lost");
        Ok(())
    }
}

/// The standby becomes the database.
#[derive(Clone, Debug, clap::Args)]
pub struct FailoverRun {
    #[command(flatten)]
    size: Size,
    /// Requests a second through all gateways.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
}

impl FailoverRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start, or requests are lost.
    pub async fn run(self) -> anyhow::Result<()> {
        let (mut cluster, world) = Arena::prepare(&self.size).await?;
        let standby = cluster.server.standby()?;
        let servers = [cluster.server.port(), standby.port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let balancer = cluster.first_of(&self.size.haproxy, &servers)?;
        let (old, new) = (format!(":{}/", cluster.server.port()), format!(":{}/", balancer.address.port()));
        cluster.store = cluster.store.replace(&old, &new);
        let mut arena = Arena::with(&self.size, cluster, world)?;
        let load = arena.load(self.rate, 4 * AROUND);
        sleep(AROUND).await;
        arena.cluster.server.kill()?;
        standby.promote()?;
        arena.set_faults([0], Fault::Refused).await?;
        for member in arena.members() {
            until_healthy(member, self.size.live - 1)?;
        }
        let shots = shots(load).await?;
        tell_shots("the database failed over to its standby", &shots);
        ensure!(shots.iter().all(|shot| shot.result.is_ok()), "requests were lost");
        Ok(())
    }
}

/// Waits until the store has a node in this state.
async fn until_stored(cluster: &Cluster, id: &str, state: &str) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    while cluster.sql(&format!("SELECT state FROM records WHERE id = '{id}'"))? != state {
        ensure!(Instant::now() < end, "the store never has the node as {state}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn memory(arena: &Arena) -> u64 {
    arena.members().filter_map(|member| Some(memory_mib(member.pid()?).1)).sum()
}
