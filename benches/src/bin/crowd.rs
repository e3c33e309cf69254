//! Ten thousand idle tunnels, slow readers, slow writers, header bombs and a flood of garbage: what they cost, and how a good
//! client fares meanwhile.

use std::{fs, net::SocketAddr, time::Duration};

use clap::{Parser, Subcommand};
use hezar_bench::{
    chaos::{
        self, Load, Tally,
        contestant::{Contestant, ContestantSettings},
    },
    crowd::{Crowd, Sort, carrier, play},
};
use hezar_lab::{Kind, World, WorldConfig};
use tokio::time::{Instant, sleep};

#[derive(Clone, Copy, Debug, Parser)]
#[command(about = "Many clients that cost and do not behave")]
struct Cli {
    /// Idle tunnels.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Slow readers, and as many slow writers and header bombs.
    #[arg(long, default_value_t = 500)]
    slow: usize,
    /// Garbage connections a second.
    #[arg(long, default_value_t = 2000)]
    garbage: usize,
    /// How long each part is measured, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What a copy of this program does.
#[derive(Clone, Copy, Debug, Subcommand)]
enum Role {
    /// Is some of the clients.
    #[command(hide = true)]
    Clients { sort: Sort, proxy: SocketAddr, count: usize },
}

/// Descriptors of the proxy that are no idle tunnel's: its listeners, store and probes, and the good client's requests.
const SPARE: u64 = 200;
/// What a good client gets to come to rest in.
const REST: Duration = Duration::from_secs(3);

/// The proxy under load and the good client beside it.
struct Scene {
    contestant: Contestant,
    root: Vec<u8>,
    time: Duration,
    _home: tempfile::TempDir,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Role::Clients { sort, proxy, count }) = cli.role {
        return play(sort, proxy, count).await;
    }
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, 50));
    // All tunnels of the carrier end at one server.
    config.max_connections = cli.idle + 8192;
    let world = World::start(config).await?;

    println!("50 SOCKS5 nodes; open files: {limit} for a process, {SPARE} spare, 2 for each tunnel");
    let scene = Scene::set(&world, &world.links(), cli.seconds).await?;
    scene_of_tunnels(scene, room(cli.idle, limit, 2)).await?;
    misbehave(Scene::set(&world, &world.links(), cli.seconds).await?, &cli).await?;

    let home = tempfile::tempdir()?;
    match carrier(home.path(), world.nodes()[0].address)? {
        Some((_server, link)) => {
            println!("one Hysteria 2 node, whose connection carries all tunnels: 1 open file for each");
            scene_of_tunnels(Scene::set(&world, &link, cli.seconds).await?, room(cli.idle, limit, 1)).await?;
        }
        None => println!("tunnels over one connection: skipped, sing-box is not installed"),
    }
    world.shutdown().await;
    Ok(())
}

/// As many tunnels as one process may hold.
fn room(wanted: usize, limit: u64, each: u64) -> usize {
    usize::try_from(limit.saturating_sub(SPARE) / each).unwrap_or(wanted).min(wanted)
}

async fn scene_of_tunnels(mut scene: Scene, count: usize) -> anyhow::Result<()> {
    let before = scene.good_client("nobody else").await?;
    let tunnels = Crowd::gather(Sort::Idle, scene.contestant.proxy, count).await?;
    let held = scene.good_client(&format!("{} idle tunnels", tunnels.size)).await?;
    let each = held.saturating_sub(before) as f64 / tunnels.size as f64;
    println!("  {each:.1} KiB for each idle tunnel, its sockets' buffers in the kernel not counted");
    tunnels.disperse().await
}

async fn misbehave(mut scene: Scene, cli: &Cli) -> anyhow::Result<()> {
    scene.good_client("nobody else").await?;
    for (sort, count, what) in [
        (Sort::Reader, cli.slow, "clients that do not read what they asked for"),
        (Sort::Writer, cli.slow, "clients that send a byte now and then"),
        (Sort::Bomb, cli.slow, "heads without an end"),
        (Sort::Garbage, cli.garbage, "connections of garbage a second"),
    ] {
        let crowd = Crowd::gather(sort, scene.contestant.proxy, count).await?;
        scene.good_client(&format!("{} {what}", crowd.size)).await?;
        crowd.disperse().await?;
        sleep(REST).await;
    }
    scene.good_client("nobody else again").await.map(drop)
}

impl Scene {
    async fn set(world: &World, list: &str, seconds: u64) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let (folder, list) = (home.path().to_path_buf(), list.to_owned());
        let contestant =
            tokio::task::spawn_blocking(move || Contestant::hezar(&folder, &list, &ContestantSettings::default()))
                .await??;
        sleep(REST).await;
        Ok(Self { contestant, root: world.root().to_vec(), time: Duration::from_secs(seconds), _home: home })
    }

    /// Measures a good client; gives the proxy's resident memory in KiB.
    async fn good_client(&mut self, beside: &str) -> anyhow::Result<u64> {
        let limit = Duration::from_secs(30);
        let load = Load::at_rate(self.contestant.proxy, 40.0, self.time, limit, &self.root);
        let (cpu, begun) = (self.contestant.cpu(), Instant::now());
        let tally = Tally::of(&chaos::run(&load).await?);
        let (peak, resident) = self.contestant.memory();
        let cpu = 100.0 * (self.contestant.cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!(
            "{beside:<48} {tally}  CPU {cpu:>4.0} %, resident {:>4} MiB, peak {:>4} MiB, TCP of all in the kernel {:>4} MiB",
            resident / 1024,
            peak / 1024,
            kernel_mib()
        );
        for (reason, count) in tally.wrong.iter().take(5) {
            println!("  {count:>7} × {reason}");
        }
        Ok(resident)
    }
}

/// What the sockets of this machine hold: the client's, the proxy's and the lab's.
fn kernel_mib() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    // In pages of 4 KiB.
    line.rsplit(' ').next().and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() / 256
}
