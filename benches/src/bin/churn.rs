//! 20,000 nodes of which a subscription exchanges 5,000 every second, under tunnels that outlive their nodes.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use hezar_bench::{
    api::Api,
    chaos::{self, Load, Tally, contestant::Contestant},
    churn::{Life, List, live},
    free_address, percentile,
};
use hezar_lab::{Kind, World, WorldConfig};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{interval, sleep},
};

#[derive(Clone, Copy, Debug, Parser)]
#[command(about = "Tunnels and requests while a subscription exchanges its nodes")]
struct Cli {
    /// Nodes in the subscription.
    #[arg(long, default_value_t = 20_000)]
    nodes: u64,
    /// How many of them are exchanged every second.
    #[arg(long, default_value_t = 5000)]
    exchanged: u64,
    /// How long, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Tunnels that are open before anything changes.
    #[arg(long, default_value_t = 300)]
    tunnels: u64,
    /// Tunnels that are opened every second from then on, and stay.
    #[arg(long, default_value_t = 5)]
    opened: u64,
    /// Between two exchanges of bytes in one tunnel, in ms.
    #[arg(long, default_value_t = 200)]
    pause: u64,
    /// Requests a second beside them, each over a connection of its own.
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// Probes a second: a node carries traffic once it has been probed. 500 is what the program does unless told otherwise.
    #[arg(long, default_value_t = 500)]
    probes: u64,
}

/// The servers behind the nodes.
const SERVERS: usize = 200;
/// What a reading of the list may come late by.
const LATE: Duration = Duration::from_secs(5);
const TOKEN: &str = "the-token-of-the-churn";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let life = cli.nodes / cli.exchanged.max(1);
    ensure!(cli.seconds > life, "a node stays for {life} s: --seconds has to be more");
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, SERVERS));
    config.max_connections = 8192;
    let world = World::start(config).await?;
    let servers = world.nodes().iter().map(|node| node.address).collect();
    let api = Api { address: free_address()?, token: TOKEN.to_owned() };
    let list = Arc::new(List::new(servers, cli.nodes, cli.exchanged));
    let home = tempfile::tempdir()?;
    configure(home.path(), &list.serve(api.clone()).await?, cli.probes)?;
    let (folder, address) = (home.path().to_path_buf(), api.address);
    let mut hezar = tokio::task::spawn_blocking(move || Contestant::configured(&folder, address)).await??;
    // As many as there are going to be on average: a node is probed at some time of its life.
    while healthy(&api).await? < (cli.probes * life).min(cli.nodes) {
        sleep(Duration::from_millis(200)).await;
    }

    let (stop, stopped) = watch::channel(false);
    let tunnel = |number| live(hezar.proxy, number, Duration::from_millis(cli.pause), stopped.clone());
    let mut tunnels: JoinSet<Life> = (0..cli.tunnels).map(tunnel).collect();
    sleep(Duration::from_secs(2)).await;
    let (begun, cpu, time) = (Instant::now(), hezar.cpu(), Duration::from_secs(cli.seconds));
    list.begin(time);
    let load = Load::at_rate(hezar.proxy, cli.rate, time, Duration::from_secs(20), world.root());
    let mut requests = Box::pin(chaos::run(&load));
    let mut seconds = interval(Duration::from_secs(1));
    let mut number = cli.tunnels;
    let shots = loop {
        tokio::select! {
            shots = &mut requests => break shots?,
            _ = seconds.tick() => for _ in 0..cli.opened {
                tunnels.spawn(tunnel(number));
                number += 1;
            },
        }
    };
    let cpu = 100.0 * (hezar.cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    // The last reading, and what it leads to.
    sleep(LATE).await;
    stop.send_replace(true);
    let lives = tunnels.join_all().await;
    let left = list.listed().start;
    let status = api.ask("GET", "status", "").await?;
    let count = |state: &str| status["nodes"][state].as_u64().unwrap_or_default();
    let all: u64 = ["new", "healthy", "suspect", "dead", "unsupported", "quarantined"].map(count).iter().sum();
    println!(
        "{} nodes behind {SERVERS} servers; {left} came and {left} went within {} s, {} of them removed, in {} readings; \
         at the end {all} are there, {} of them healthy",
        cli.nodes,
        cli.seconds,
        list.removed(),
        list.reads(),
        count("healthy")
    );
    // Whatever is there now was not listed before.
    show(&lives, begun + time - Duration::from_secs(life));
    let tally = Tally::of(&shots);
    println!("requests  {tally}");
    for (reason, count) in &tally.wrong {
        println!("  {count:>7} × {reason}");
    }
    let (peak, resident) = hezar.memory();
    println!("hezar     CPU {cpu:.0} % of one core, resident {} MiB, peak {} MiB", resident / 1024, peak / 1024);
    let broken = lives.iter().filter(|life| life.broken.is_some()).count();
    ensure!(
        broken == 0 && tally.right == tally.all,
        "{broken} tunnels broken, {} requests failed",
        tally.all - tally.right
    );
    ensure!(list.removed() == left, "{} of {left} nodes were removed", list.removed());
    world.shutdown().await;
    Ok(())
}

/// Everything as it is unless told otherwise, but for where the lab is.
fn configure(home: &Path, subscription: &str, probes: u64) -> anyhow::Result<()> {
    let text = format!(
        "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\nper_second = {probes}\n\
         [api]\ntoken = \"{TOKEN}\"\n[log]\nlevel = \"warn\"\n\
         [[source]]\nname = \"subscription\"\nurl = \"{subscription}\"\ninterval = \"1s\"\nallow_private = true\n"
    );
    Ok(fs::write(home.join("hezar.toml"), text)?)
}

async fn healthy(api: &Api) -> anyhow::Result<u64> {
    let status = api.ask("GET", "status", "").await?;
    status["nodes"]["healthy"].as_u64().context("no number of healthy nodes")
}

/// The tunnels in figures; nodes that are there now were not before `oldest`.
fn show(lives: &[Life], oldest: Instant) {
    let mut took: Vec<Duration> = lives.iter().flat_map(|life| life.exchanges.iter().copied()).collect();
    took.sort_unstable();
    let broken: Vec<_> = lives.iter().filter_map(|life| life.broken.as_ref()).collect();
    let outlived = lives.iter().filter(|life| life.broken.is_none() && life.opened.is_some_and(|at| at < oldest));
    println!(
        "tunnels   {} opened, {} broken; {} outlived their nodes; {} exchanges of 1 KiB: p50 {:.1}  p99 {:.1}  p99.9 {:.1} ms",
        lives.len(),
        broken.len(),
        outlived.count(),
        took.len(),
        percentile(&took, 0.5),
        percentile(&took, 0.99),
        percentile(&took, 0.999)
    );
    for reason in broken.iter().take(8) {
        println!("  {reason}");
    }
}
