//! Thousands of nodes that only a core dials: start, memory, from "added" to "probed", streams through changes of the core's nodes, and what
//! a GiB costs beside the same protocol in this program.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use clap::Parser;
use hezar_bench::{
    api::Api,
    chaos::contestant::{Contestant, peer},
    churn::{Life, live_on},
    free_address,
    load::{self, Way},
    median, percentile,
    sidecar::{CoreServer, Pair, core_of},
    site::{self, Verb},
};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

#[derive(Clone, Debug, Parser)]
#[command(about = "Nodes that only a core dials: start, memory, streams through changes, CPU beside native")]
struct Cli {
    /// Nodes of the core.
    #[arg(long, default_value_t = 5000)]
    nodes: usize,
    /// Streams that run while nodes are added.
    #[arg(long, default_value_t = 200)]
    streams: usize,
    /// How long they run, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Nodes that are added one after the other, each of which has to be probed before the next one.
    #[arg(long, default_value_t = 11)]
    added: usize,
    /// MiB each way in one run of the comparison with native.
    #[arg(long, default_value_t = 512)]
    mib: u64,
    /// Runs of the comparison, each after the other.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// A step that takes longer fails.
const LIMIT: Duration = Duration::from_secs(600);
/// How often something is asked for.
const LOOK: Duration = Duration::from_millis(20);
const TOKEN: &str = "the-token-of-the-sidecar";
const CORE: &str = "mihomo";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mihomo = peer(CORE).context("mihomo is not installed: cargo xtask peers install")?;
    let home = tempfile::tempdir()?;
    let (site, server) = (site::start("localhost")?, CoreServer::start(&mihomo, home.path())?);
    many(&cli, &mihomo, &home.path().join("many"), &site, &server).await?;
    for pair in server.pairs() {
        beside_native(&cli, &mihomo, home.path(), &site, &pair).await?;
    }
    Ok(())
}

/// This program over nodes of the core.
struct Running {
    hezar: Contestant,
    api: Api,
}

impl Running {
    async fn start(home: &Path, mihomo: &Path, site: &site::Site, links: &[String]) -> anyhow::Result<Self> {
        fs::create_dir_all(home)?;
        fs::write(home.join("list.txt"), links.join("\n"))?;
        let mut text = format!(
            "[sidecar]\nmihomo = \"{}\"\nxray = \"off\"\n[api]\ntoken = \"{TOKEN}\"\n[log]\nlevel = \"warn\"\n",
            mihomo.display()
        );
        // Writing into a text never fails.
        let _ = write!(
            text,
            "[probe]\nurl = \"http://{}/\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\nper_second = 100000\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n",
            site.clear
        );
        fs::write(home.join("hezar.toml"), text)?;
        let api = Api { address: free_address()?, token: TOKEN.to_owned() };
        let (home, address) = (home.to_path_buf(), api.address);
        let hezar = tokio::task::spawn_blocking(move || Contestant::open(&home, address)).await??;
        Ok(Self { hezar, api })
    }

    async fn healthy(&self) -> anyhow::Result<usize> {
        let status = self.api.ask("GET", "status", "").await?;
        let healthy = status["nodes"]["healthy"].as_u64().context("no number of healthy nodes")?;
        Ok(usize::try_from(healthy)?)
    }

    /// How long it takes until so many nodes are healthy.
    async fn until_healthy(&self, count: usize, begun: Instant) -> anyhow::Result<Duration> {
        while self.healthy().await? < count {
            ensure!(begun.elapsed() < LIMIT, "{} of {count} nodes are healthy", self.healthy().await?);
            sleep(LOOK).await;
        }
        Ok(begun.elapsed())
    }

    /// How long it takes from adding a node until it is healthy.
    async fn add(&self, link: &str) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let report = self.api.ask("POST", "nodes?allow_private=true", link).await?;
        let id = report["ids"][0].as_str().context("no id of the node")?.to_owned();
        loop {
            let node: Value = self.api.ask("GET", &format!("nodes/{id}"), "").await?;
            if node["state"] == "healthy" {
                return Ok(begun.elapsed());
            }
            ensure!(begun.elapsed() < LIMIT, "a node was not probed: {node}");
            sleep(LOOK).await;
        }
    }
}

async fn many(cli: &Cli, mihomo: &Path, home: &Path, site: &site::Site, server: &CoreServer) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut running = Running::start(home, mihomo, site, &server.core_links(0..cli.nodes)).await?;
    let first = running.until_healthy(1, begun).await?;
    let all = running.until_healthy(cli.nodes, begun).await?;
    let core = core_of(running.hezar.pid(), CORE)?;
    let (own, resident) = (running.hezar.memory().1, core.memory().1);
    println!(
        "{} nodes through one mihomo: the first one healthy {:.1} s after the start, all after {:.1} s; resident: hezar {} MiB, \
         core {} MiB",
        cli.nodes,
        first.as_secs_f64(),
        all.as_secs_f64(),
        own / 1024,
        resident / 1024
    );

    let mut times = Vec::new();
    for link in server.core_links(cli.nodes..cli.nodes + cli.added) {
        times.push(running.add(&link).await?.as_secs_f64());
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    println!(
        "from \"added\" to \"probed\", {} nodes one after the other: median {:.2} s, slowest {slowest:.2} s",
        cli.added,
        median(&mut times)
    );

    let lives = streams_through_changes(cli, &running, site, server).await?;
    let broken: Vec<_> = lives.iter().filter_map(|life| life.broken.as_ref()).collect();
    let mut took: Vec<Duration> = lives.iter().flat_map(|life| life.exchanges.iter().copied()).collect();
    took.sort_unstable();
    println!(
        "{} streams for {} s while a node was added every second: {} cut; {} exchanges of 1 KiB: p50 {:.1}  p99 {:.1}  max {:.1} ms",
        lives.len(),
        cli.seconds,
        broken.len(),
        took.len(),
        percentile(&took, 0.5),
        percentile(&took, 0.99),
        percentile(&took, 1.0)
    );
    broken.iter().take(8).for_each(|reason| println!("  {reason}"));
    let core = core_of(running.hezar.pid(), CORE)?;
    let (peak, resident) = core.memory();
    println!("the core afterwards: resident {} MiB, peak {} MiB", resident / 1024, peak / 1024);

    let way = Way::new(running.hezar.proxy, site, None)?;
    kill(core.pid)?;
    let begun = Instant::now();
    way.open(Verb::Echo).await?;
    println!("a request is served {:.2} s after the core was killed", begun.elapsed().as_secs_f64());
    ensure!(broken.is_empty(), "{} streams were cut", broken.len());
    Ok(())
}

/// Streams with traffic while nodes are added, so that the core is told of new ones again and again.
async fn streams_through_changes(
    cli: &Cli,
    running: &Running,
    site: &site::Site,
    server: &CoreServer,
) -> anyhow::Result<Vec<Life>> {
    let way = Way::new(running.hezar.proxy, site, None)?;
    let streams = load::tunnels(&way, cli.streams, 16, true).await?;
    let (stop, stopped) = watch::channel(false);
    let pause = Duration::from_millis(200);
    let lives: JoinSet<Life> =
        streams.into_iter().zip(0..).map(|(stream, number)| live_on(stream, number, pause, stopped.clone())).collect();
    let (begun, mut number) = (Instant::now(), cli.nodes + cli.added);
    while begun.elapsed() < Duration::from_secs(cli.seconds) {
        for link in server.core_links(number..number + 1) {
            running.add(&link).await?;
        }
        number += 1;
        sleep(Duration::from_secs(1)).await;
    }
    stop.send_replace(true);
    Ok(lives.join_all().await)
}

/// CPU for a GiB over one server: by this program, and by the core together with this program.
async fn beside_native(cli: &Cli, mihomo: &Path, home: &Path, site: &site::Site, pair: &Pair) -> anyhow::Result<()> {
    let (mut native, mut core): (Vec<f64>, Vec<f64>) = Default::default();
    for _ in 0..cli.runs {
        native.push(seconds_per_gib(cli, mihomo, home, site, &pair.native).await?);
        core.push(seconds_per_gib(cli, mihomo, home, site, &pair.core).await?);
    }
    let (native, core) = (median(&mut native), median(&mut core));
    println!(
        "CPU for a GiB, {}: {native:.2} s, and {core:.2} s in both processes, ratio {:.2} (medians of {})",
        pair.name,
        core / native,
        cli.runs
    );
    Ok(())
}

async fn seconds_per_gib(cli: &Cli, mihomo: &Path, home: &Path, site: &site::Site, link: &str) -> anyhow::Result<f64> {
    let home = tempfile::tempdir_in(home)?;
    let running = Running::start(home.path(), mihomo, site, &[link.to_owned()]).await?;
    running.until_healthy(1, Instant::now()).await?;
    let way = Way::new(running.hezar.proxy, site, None)?;
    load::transfer(&way, 16 << 20, 4).await?;
    // A node that this program dials itself has none.
    let core = core_of(running.hezar.pid(), CORE).ok();
    let cpu = || running.hezar.cpu() + core.map_or(Duration::ZERO, |core| core.cpu());
    let before = cpu();
    load::transfer(&way, cli.mib << 20, 4).await?;
    Ok((cpu() - before).as_secs_f64() * 1024.0 / (2 * cli.mib) as f64)
}

/// Kills a process that this one's program has started.
fn kill(pid: u32) -> anyhow::Result<()> {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status()?;
    ensure!(status.success(), "kill ended with {status}");
    Ok(())
}
