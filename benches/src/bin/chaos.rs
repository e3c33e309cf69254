//! Load while the nodes turn bad and good at random, beside mihomo and sing-box over nodes that do the same.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Parser;
use hezar_bench::chaos::{
    Arrivals, Load, Shape, Shot, Tally,
    arena::{Lane, Program, Ran},
    contestant::ContestantSettings,
};
use hezar_lab::{Distances, Fault, FaultSchedule, Kind, WorldConfig};
use tokio::task::JoinSet;

/// The first probes of everybody are over by then.
const SETTLE: Duration = Duration::from_secs(12);
/// Of a client that asks for something small, and of one that downloads.
const LIMIT: Duration = Duration::from_secs(20);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, Parser)]
#[command(about = "Load over nodes that turn bad and good at random")]
struct Cli {
    /// Shares of bad nodes, one run for each, in per cent; 40 and 70 unless said, with --distance 0, 40 and 70.
    #[arg(long, value_delimiter = ',')]
    bad: Vec<u32>,
    /// How many nodes; 200 unless said, with --distance 60.
    #[arg(long)]
    nodes: Option<usize>,
    /// The mean time between two turns of one node, in ms.
    #[arg(long, default_value_t = 4000)]
    dwell: u64,
    /// How long each run takes, in seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Requests a second through each program, whatever becomes of those before.
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// The seed of the faults and the distances.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also throttle, delay, deny targets, die in mid-stream and flap.
    #[arg(long)]
    wild: bool,
    /// Without the peers.
    #[arg(long)]
    alone: bool,
    /// The clients are Xray's, through a VLESS listener of this program and over mihomo.
    #[arg(long)]
    vless: bool,
    /// Lines for `[proxy]` of this program's configuration.
    #[arg(long, default_value = "")]
    proxy: String,
    /// Fail when a share falls below the aim.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    far: Far,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct Far {
    /// The nodes are far away, and the load is a closed loop of clients.
    #[arg(long)]
    distance: bool,
    /// The clients of the closed loop; 48 unless said, with --rates 8.
    #[arg(long, requires = "distance")]
    clients: Option<usize>,
    /// The median round trip, in ms; round trips are log-normal.
    #[arg(long, requires = "distance", default_value_t = 120)]
    median: u64,
    /// The standard deviation of the round trip's logarithm.
    #[arg(long, requires = "distance", default_value_t = 0.7)]
    sigma: f64,
    /// The jitter of each direction as a share of its delay.
    #[arg(long, requires = "distance", default_value_t = 0.1)]
    jitter: f64,
    /// The share of packets that are lost once.
    #[arg(long, requires = "distance", default_value_t = 0.0)]
    loss: f64,
    /// Nodes carry 1, 5 or 50 Mbit/s each way, and the clients download.
    #[arg(long, requires = "distance")]
    rates: bool,
    /// The size of a download, in MiB.
    #[arg(long, requires = "rates", default_value_t = 20)]
    mib: u32,
}

impl Cli {
    fn shares(&self) -> Vec<u32> {
        match (self.bad.is_empty(), self.far.distance) {
            (false, _) => self.bad.clone(),
            (true, true) => vec![0, 40, 70],
            (true, false) => vec![40, 70],
        }
    }

    fn world(&self) -> WorldConfig {
        let nodes = self.nodes.unwrap_or(if self.far.distance { 60 } else { 200 });
        let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, nodes));
        config.max_connections = 8192;
        if self.far.distance {
            let Far { median, sigma, jitter, loss, .. } = self.far;
            config = config.at_distances(&Distances {
                seed: self.seed,
                median: Duration::from_millis(median),
                sigma,
                jitter,
                loss,
            });
        }
        if self.far.rates {
            config = config.with_rates(&[1_000_000, 5_000_000, 50_000_000]);
        }
        config
    }

    fn load(&self, lane: &Lane) -> Load {
        let (proxy, root, time) = (lane.contestant.proxy, lane.world.root(), Duration::from_secs(self.seconds));
        let load = Load::at_rate(proxy, self.rate, time, LIMIT, root);
        if !self.far.distance {
            return load;
        }
        let clients = self.far.clients.unwrap_or(if self.far.rates { 8 } else { 48 });
        let load = Load { arrivals: Arrivals::Clients(clients), ..load };
        if self.far.rates {
            return Load { shapes: vec![Shape::Download(self.far.mib)], limit: DOWNLOAD_LIMIT, ..load };
        }
        load
    }

    fn schedule(&self, bad: u32) -> FaultSchedule {
        let mut faults = FaultSchedule::PUBLIC.to_vec();
        if self.wild {
            faults.extend([
                Fault::Slow(Duration::from_millis(700)),
                Fault::Throttled(20_000),
                Fault::DieAfter(1),
                Fault::CloseAfter(1),
                Fault::HangAfter(20),
                Fault::ResetOnData,
                Fault::WrongCredential,
                Fault::DenyTargets,
                Fault::Flapping(Duration::from_millis(300)),
            ]);
        }
        FaultSchedule { seed: self.seed, bad: f64::from(bad) / 100.0, dwell: Duration::from_millis(self.dwell), faults }
    }

    fn describe(&self, bad: u32, load: &Load) -> String {
        let nodes = self.world().upstreams.len();
        let mut text = format!("{nodes} nodes, {bad} % bad, mean dwell {} ms, seed {}", self.dwell, self.seed);
        if self.far.distance {
            text += &format!(", round trip {} ms (sigma {})", self.far.median, self.far.sigma);
        }
        text + &match load.arrivals {
            Arrivals::PerSecond(rate) => format!(", {rate} requests/s through each for {} s", self.seconds),
            Arrivals::Clients(clients) => format!(", {clients} clients of each for {} s", self.seconds),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut missed = Vec::new();
    for bad in cli.shares() {
        let share = run(&cli, bad).await?;
        let aim = if bad <= 40 { 99.99 } else { 99.9 };
        if share < aim {
            missed.push(format!("{share:.4} % at {bad} % bad, the aim is {aim} %"));
        }
    }
    ensure!(!cli.strict || missed.is_empty(), "{}", missed.join("; "));
    Ok(())
}

/// One run; gives this program's share of right answers.
async fn run(cli: &Cli, bad: u32) -> anyhow::Result<f64> {
    let home = tempfile::tempdir()?;
    let settings = ContestantSettings { proxy: cli.proxy.clone(), ..ContestantSettings::default() };
    let (programs, missing) =
        if cli.vless { Program::behind_xray(settings, cli.alone) } else { Program::all(settings, cli.alone) };
    missing.iter().for_each(|name| println!("{name} skipped: not installed"));
    let mut lanes = Vec::new();
    for program in programs {
        lanes.push(Arc::new(Lane::open(program, cli.world(), home.path().to_path_buf()).await?));
    }
    tokio::time::sleep(SETTLE).await;
    println!("{}", cli.describe(bad, &cli.load(lanes.first().context("no program")?)));
    let mut running: JoinSet<anyhow::Result<(usize, Ran)>> = JoinSet::new();
    for (number, lane) in lanes.iter().enumerate() {
        let (lane, load, schedule) = (lane.clone(), cli.load(lane), cli.schedule(bad));
        running.spawn(async move { Ok((number, lane.run(&load, &schedule).await?)) });
    }
    let mut results = running.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    results.sort_by_key(|(number, _)| *number);
    let mut own = None;
    for (mut lane, (_, ran)) in lanes.into_iter().zip(results) {
        let peak = Arc::get_mut(&mut lane).map_or(0, |lane| lane.contestant.memory_with_cores().0);
        let share = show(&lane.contestant.name, &ran, peak);
        own.get_or_insert(share);
    }
    own.context("no load ran")
}

fn show(name: &str, ran: &Ran, peak_kib: u64) -> f64 {
    let tally = Tally::of(&ran.shots);
    println!("{name:<34} {tally}  {:.3} attempts  peak {} MiB", ran.attempts, peak_kib / 1024);
    let mut shapes: Vec<Shape> = ran.shots.iter().map(|shot| shot.shape).collect();
    shapes.sort_unstable();
    shapes.dedup();
    for shape in shapes {
        let of_shape: Vec<Shot> = ran.shots.iter().filter(|shot| shot.shape == shape).cloned().collect();
        println!("  {:<32} {}", format!("{shape:?}"), Tally::of(&of_shape));
    }
    let mut wrong: Vec<_> = tally.wrong.iter().collect();
    wrong.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in wrong.into_iter().take(12) {
        println!("  {count:>7} × {reason}");
    }
    tally.share()
}
