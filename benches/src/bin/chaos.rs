//! Open-loop load while the nodes turn bad and good at random, beside mihomo and sing-box over the same nodes.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Parser;
use hezar_bench::chaos::{
    self, Load, Shape, Shot, Tally,
    contestant::{Contestant, peer},
};
use hezar_lab::{Fault, Kind, Weather, World, WorldConfig};
use tokio::task::JoinSet;

/// The first probes of everybody are over by then.
const SETTLE: Duration = Duration::from_secs(12);

#[derive(Clone, Debug, Parser)]
#[command(about = "Open-loop load over nodes that turn bad and good at random")]
struct Cli {
    /// Shares of bad nodes, one run for each, in per cent.
    #[arg(long, value_delimiter = ',', default_values_t = [40, 70])]
    bad: Vec<u32>,
    /// How many nodes.
    #[arg(long, default_value_t = 200)]
    nodes: usize,
    /// The mean time between two turns of one node, in ms.
    #[arg(long, default_value_t = 4000)]
    dwell: u64,
    /// How long each run takes, in seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Requests a second through each program.
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// The seed of the weather.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also throttle, delay, deny targets, die in mid-stream and flap.
    #[arg(long)]
    wild: bool,
    /// Without the peers.
    #[arg(long)]
    alone: bool,
    /// Lines for `[proxy]` of this program's configuration.
    #[arg(long, default_value = "")]
    proxy: String,
    /// Fail when a share falls below the aim.
    #[arg(long)]
    strict: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let mut missed = Vec::new();
    for bad in &cli.bad {
        let share = run(&cli, *bad).await?;
        let aim = if *bad <= 40 { 99.99 } else { 99.9 };
        if share < aim {
            missed.push(format!("{share:.4} % at {bad} % bad, the aim is {aim} %"));
        }
    }
    ensure!(!cli.strict || missed.is_empty(), "{}", missed.join("; "));
    Ok(())
}

/// One run; gives this program's share of right answers.
async fn run(cli: &Cli, bad: u32) -> anyhow::Result<f64> {
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, cli.nodes));
    config.max_connections = 8192;
    let world = Arc::new(World::start(config).await?);
    let nodes: Vec<SocketAddr> = world.nodes().iter().map(|node| node.address).collect();
    let home = tempfile::tempdir()?;
    let (folder, alone, proxy) = (home.path().to_path_buf(), cli.alone, cli.proxy.clone());
    let contestants = tokio::task::spawn_blocking(move || assemble(&folder, &nodes, alone, &proxy)).await??;
    tokio::time::sleep(SETTLE).await;
    let mut faults = Weather::PUBLIC.to_vec();
    if cli.wild {
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
    let weather =
        Weather { seed: cli.seed, bad: f64::from(bad) / 100.0, dwell: Duration::from_millis(cli.dwell), faults };
    println!(
        "{} nodes, {bad} % bad, mean dwell {} ms, seed {}, {} requests/s through each for {} s",
        cli.nodes, cli.dwell, cli.seed, cli.rate, cli.seconds
    );
    let loads = contestants.iter().map(|contestant| Load {
        proxy: contestant.proxy,
        rate: cli.rate,
        time: Duration::from_secs(cli.seconds),
        limit: Duration::from_secs(20),
        root: world.root().to_vec(),
    });
    let mut running: JoinSet<anyhow::Result<(usize, Vec<Shot>)>> = JoinSet::new();
    for (number, load) in loads.enumerate() {
        running.spawn(async move { Ok((number, chaos::run(&load).await?)) });
    }
    let mut results = tokio::select! {
        ended = world.endure(&weather) => { ended?; Vec::new() }
        results = running.join_all() => results.into_iter().collect::<anyhow::Result<Vec<_>>>()?,
    };
    results.sort_by_key(|(number, _)| *number);
    let mut own = None;
    for (mut contestant, (_, shots)) in contestants.into_iter().zip(results) {
        let share = show(&mut contestant, &shots);
        own.get_or_insert(share);
    }
    own.context("no load ran")
}

fn assemble(home: &Path, nodes: &[SocketAddr], alone: bool, proxy: &str) -> anyhow::Result<Vec<Contestant>> {
    let list: String = nodes.iter().map(|address| format!("socks5://{address}\n")).collect();
    let mut contestants = vec![Contestant::hezar(home, &list, proxy)?];
    if alone {
        return Ok(contestants);
    }
    match peer("mihomo") {
        Some(program) => contestants.push(Contestant::mihomo(&program, home, nodes)?),
        None => println!("mihomo    skipped: not installed"),
    }
    match peer("sing-box") {
        Some(program) => contestants.push(Contestant::sing_box(&program, home, nodes)?),
        None => println!("sing-box  skipped: not installed"),
    }
    Ok(contestants)
}

fn show(contestant: &mut Contestant, shots: &[Shot]) -> f64 {
    let tally = Tally::of(shots);
    let (peak, _) = contestant.memory();
    println!("{:<34} {tally}  peak {} MiB", contestant.name, peak / 1024);
    for shape in Shape::ALL {
        let of_shape: Vec<Shot> = shots.iter().filter(|shot| shot.shape == shape).cloned().collect();
        println!("  {:<32} {}", format!("{shape:?}"), Tally::of(&of_shape));
    }
    let mut wrong: Vec<_> = tally.wrong.iter().collect();
    wrong.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in wrong.into_iter().take(12) {
        println!("  {count:>7} × {reason}");
    }
    tally.share()
}
