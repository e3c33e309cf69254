//! Whether the pool knows which nodes are bad while they turn, without traffic and with it, and how many probes that costs.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use hezar_bench::{
    api::Api,
    chaos::{
        self, Load, Tally,
        arena::{Lane, Program},
        contestant::{ContestantSettings, INTERVAL_SECS},
    },
    truth::{Called, Observer},
};
use hezar_lab::{Distances, FaultSchedule, Kind, WorldConfig};
use tokio::time::interval;

/// What a probe may take, as the program does unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The first probes are over by then.
const SETTLE: Duration = Duration::from_secs(12);
/// Between two looks at the pool.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Parser)]
#[command(about = "What the pool says of nodes that turn bad and good, beside what is true")]
struct Cli {
    /// The share of bad nodes, in per cent.
    #[arg(long, default_value_t = 40)]
    bad: u32,
    /// How many nodes.
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// The mean time between two turns of one node, in seconds.
    #[arg(long, default_value_t = 60)]
    dwell: u64,
    /// The longest pause between two probes of a dead node, in seconds.
    #[arg(long, default_value_t = INTERVAL_SECS)]
    dead_interval: u64,
    /// How long, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Requests a second in the run with traffic.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// The seed of the faults and the distances.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The nodes are far away: the median round trip, in ms; 0 = on this machine.
    #[arg(long, default_value_t = 0)]
    median: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    println!(
        "{} nodes, {} % bad, mean dwell {} s, seed {}, probed every {INTERVAL_SECS} s, {} s",
        cli.nodes, cli.bad, cli.dwell, cli.seed, cli.seconds
    );
    let (without, with) = tokio::try_join!(run(&cli, false), run(&cli, true))?;
    println!("{without}\n{with}");
    Ok(())
}

/// One run; gives its figures in words.
async fn run(cli: &Cli, traffic: bool) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, cli.nodes));
    config.max_connections = 8192;
    if cli.median > 0 {
        let median = Duration::from_millis(cli.median);
        config = config.at_distances(&Distances { seed: cli.seed, median, sigma: 0.7, jitter: 0.1, loss: 0.0 });
    }
    let probe = format!("dead_interval = \"{}s\"", cli.dead_interval);
    let settings = ContestantSettings { probe, ..ContestantSettings::default() };
    let lane = Lane::open(Program::Hezar(settings), config, home.path().to_path_buf()).await?;
    let api = lane.contestant.api.clone().context("no API")?;
    tokio::time::sleep(SETTLE).await;
    let schedule = FaultSchedule {
        seed: cli.seed,
        bad: f64::from(cli.bad) / 100.0,
        dwell: Duration::from_secs(cli.dwell),
        faults: FaultSchedule::PUBLIC.to_vec(),
    };
    let time = Duration::from_secs(cli.seconds);
    let load = Load::at_rate(lane.contestant.proxy, cli.rate, time, Duration::from_secs(20), lane.world.root());
    let settles_after = Duration::from_secs(INTERVAL_SECS) + TIMEOUT;
    let mut observer = Observer::new(&schedule, cli.nodes, settles_after);
    let before = api.counter("hezar_probe_total", &[]).await?;
    let watching = watch(&lane, &api, &mut observer, time);
    let loading = async { if traffic { chaos::run(&load).await.map(Some) } else { Ok(None) } };
    let shots = tokio::select! {
        ended = lane.world.follow(&schedule) => { ended?; None }
        done = async { tokio::try_join!(watching, loading) } => done?.1,
    };
    let probes = api.counter("hezar_probe_total", &[]).await? - before;
    let per_minute = probes / cli.nodes as f64 / (time.as_secs_f64() / 60.0);
    let served = shots.map(|shots| format!("\n  requests  {}", Tally::of(&shots))).unwrap_or_default();
    let name = if traffic { format!("with {} requests/s", cli.rate) } else { "without traffic".to_owned() };
    Ok(format!(
        "{name}: {per_minute:.2} probes per node and minute\n  settled   {}\n  overall   {}{served}",
        observer.settled, observer.overall
    ))
}

/// Looks at the pool again and again.
async fn watch(lane: &Lane, api: &Api, observer: &mut Observer, time: Duration) -> anyhow::Result<()> {
    let (began, mut looks) = (Instant::now(), interval(LOOK));
    while began.elapsed() < time {
        looks.tick().await;
        let page = api.ask("GET", "nodes?limit=1000", "").await?;
        let at = began.elapsed();
        let nodes = page["nodes"].as_array().context("no list of nodes")?;
        let called: HashMap<String, Option<Called>> = nodes
            .iter()
            .map(|node| {
                let address = format!("{}:{}", node["server"].as_str().unwrap_or_default(), node["port"]);
                (address, Called::from_state(node["state"].as_str().unwrap_or_default()))
            })
            .collect();
        ensure!(called.len() == lane.world.nodes().len(), "the API names {} nodes", called.len());
        let addresses: Vec<String> = lane.world.nodes().iter().map(|node| node.address.to_string()).collect();
        observer.look(at, |node| *called.get(addresses.get(node)?)?);
    }
    Ok(())
}
