//! Several members over one PostgreSQL under load: what each run measures, as lines of a table.

mod away;
mod changes;
mod clients;
mod million;
mod probes;
mod server_cost;

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use hezar_lab::{
    Fault, Kind, World, WorldConfig,
    cluster::{Cluster, Member, dead_links},
};
use tokio::task::JoinSet;

use crate::chaos::{self, Load, Shot};

pub use away::{AwayRun, FailoverRun};
pub use changes::ChangesRun;
pub use clients::{ChaosRun, QuotaRun, SessionsRun};
pub use million::MillionRun;
pub use probes::{ProbesRun, StandstillRun};

/// What a client is willing to wait.
const LIMIT: Duration = Duration::from_secs(30);

/// How large the cluster is.
#[derive(Clone, Debug, clap::Args)]
pub struct Size {
    /// Nodes that work: real servers on this machine.
    #[arg(long, default_value_t = 200)]
    pub live: usize,
    /// Nodes that refuse every connection.
    #[arg(long, default_value_t = 99_800)]
    pub dead: u32,
    /// How many gateways.
    #[arg(long, default_value_t = 3)]
    pub gateways: usize,
    /// How many probers.
    #[arg(long, default_value_t = 2)]
    pub probers: usize,
    /// How often each node that works is probed, in seconds.
    #[arg(long, default_value_t = 10)]
    pub interval: u64,
    /// The program haproxy.
    #[arg(long, default_value = "/usr/sbin/haproxy")]
    pub haproxy: PathBuf,
}

/// A cluster whose members know the nodes that work.
pub struct Arena {
    /// The database and what the members share.
    pub cluster: Cluster,
    /// The nodes that work.
    pub world: World,
    /// Reads the list.
    pub fetcher: Member,
    /// Probe the nodes.
    pub probers: Vec<Member>,
    /// Serve clients.
    pub gateways: Vec<Member>,
}

impl Arena {
    /// Starts everything and waits until each member knows the nodes that work. It blocks its thread, which must be none that the nodes
    /// run on.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or something does not start.
    pub async fn start(size: &Size) -> anyhow::Result<Self> {
        let (cluster, world) = Self::prepare(size).await?;
        Self::with(size, cluster, world)
    }

    /// The database and the nodes, before the first member.
    async fn prepare(size: &Size) -> anyhow::Result<(Cluster, World)> {
        let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, size.live));
        config.max_connections = 8192;
        let world = World::start(config).await?;
        let mut cluster = Cluster::open("cluster", &crate::hezar()?)?.context("PostgreSQL is not installed")?;
        cluster.control = Some(crate::site::start("localhost")?.clear);
        cluster.probe = format!("interval = \"{}s\"\ntimeout = \"5s\"\n", size.interval);
        cluster.list(&(world.links() + &dead_links(size.dead)))?;
        Ok((cluster, world))
    }

    /// Starts the members.
    fn with(size: &Size, cluster: Cluster, world: World) -> anyhow::Result<Self> {
        let fetcher = cluster.member("fetcher", "fetch,api")?;
        let probers = (1..=size.probers).map(|number| cluster.member(&format!("prober-{number}"), "probe,api"));
        let probers = probers.collect::<Result<Vec<_>, _>>()?;
        let gateways = cluster.gateways(size.gateways)?;
        let arena = Self { cluster, world, fetcher, probers, gateways };
        for member in arena.members() {
            until_healthy(member, size.live)?;
        }
        Ok(arena)
    }

    /// Lets nodes be as they are told.
    ///
    /// # Errors
    /// There is no such node.
    pub async fn set_faults(&self, nodes: impl IntoIterator<Item = usize>, fault: Fault) -> anyhow::Result<()> {
        for index in nodes {
            self.world.set_fault(index, fault).await?;
        }
        Ok(())
    }

    /// Requests at a rate through all gateways together, which go on for a time.
    fn load(&self, rate: f64, time: Duration) -> JoinSet<anyhow::Result<Vec<Shot>>> {
        let mut running = JoinSet::new();
        for gateway in &self.gateways {
            let each = rate / self.gateways.len() as f64;
            let load = Load::at_rate(gateway.proxy, each, time, LIMIT, self.world.root());
            running.spawn(async move { chaos::run(&load).await });
        }
        running
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.probers.iter().chain(&self.gateways)
    }
}

/// Waits until a member knows so many nodes that work; the first probes of very many nodes take a while.
fn until_healthy(member: &Member, count: usize) -> anyhow::Result<()> {
    let count = u64::try_from(count)?;
    for _ in 0..9 {
        if member.knows_healthy(count).is_ok() {
            return Ok(());
        }
    }
    Ok(member.knows_healthy(count)?)
}

/// The end of loads.
async fn shots(mut running: JoinSet<anyhow::Result<Vec<Shot>>>) -> anyhow::Result<Vec<Shot>> {
    let mut all = Vec::new();
    while let Some(ended) = running.join_next().await {
        all.extend(ended??);
    }
    Ok(all)
}

/// Prints one line of a table.
fn line(what: &str, said: impl Display) {
    println!("| {what} | {said} |");
}

/// Prints what became of requests.
fn tell_shots(what: &str, shots: &[Shot]) {
    let failed: Vec<&Shot> = shots.iter().filter(|shot| shot.result.is_err()).collect();
    line(what, format_args!("{} requests, {} failed", shots.len(), failed.len()));
    for shot in failed.iter().take(5) {
        if let Err(reason) = &shot.result {
            line("  a failure", format_args!("{:.1} s after the begin: {reason}", shot.at.as_secs_f64()));
        }
    }
}

/// The identity of a node, from its link.
fn id(link: &str) -> anyhow::Result<String> {
    let (spec, _) = hezar_formats::parse_link(link).map_err(|code| anyhow::anyhow!("{}", code.code()))?;
    Ok(spec.id().to_string())
}

/// The memory of a process, in MiB: its peak and now.
fn memory_mib(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    (field("VmHWM:"), field("VmRSS:"))
}
