//! This gateway, sing-box, mihomo and Xray as clients of the same servers: CPU, latency and memory of each, as ratios.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use hezar_bench::{
    contest::{Arena, Client, RunningClient},
    free_address,
    load::{self, Way},
    median,
    node::{self, NodeKind, RealityKeys, SERVER_NAME},
    site,
};
use hezar_engine::{AddressPolicy, Engine as _, NativeEngine, NativeEngineConfig};
use tokio::time::sleep;

/// Requests that warm a client up.
const WARM: usize = 50;
/// Requests timed one after the other.
const TIMED: usize = 500;
/// Tunnels opened at the same time.
const AT_ONCE: usize = 16;
/// Streams of a transfer.
const STREAMS: u64 = 4;
/// What a client gets to come to rest.
const REST: Duration = Duration::from_secs(2);
/// From when a client counts as ready.
const READY: Duration = Duration::from_secs(15);

#[derive(Debug, Parser)]
#[command(about = "CPU, latency and memory beside sing-box, mihomo and Xray")]
struct Options {
    /// sing-box, which is the server of most rows as well.
    #[arg(long)]
    sing_box: PathBuf,
    /// Xray, the REALITY server and a client of it.
    #[arg(long)]
    xray: PathBuf,
    /// mihomo.
    #[arg(long)]
    mihomo: PathBuf,
    /// Another build of hezar, such as the one before a change: a column of its own, and each figure of ours beside it.
    #[arg(long)]
    other_build: Option<PathBuf>,
    /// Runs of each client on each row, interleaved; medians are shown.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// New tunnels per run.
    #[arg(long, default_value_t = 2000)]
    tunnels: usize,
    /// Idle tunnels per run.
    #[arg(long, default_value_t = 5000)]
    idle: usize,
    /// MiB moved each way per run.
    #[arg(long, default_value_t = 256)]
    mib: u64,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    rows: String,
}

/// What one run of one client on one row gave.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// µs of CPU per new tunnel.
    tunnel: f64,
    /// s of CPU per GiB, half of it down and half of it up.
    gib: f64,
    /// ms.
    p50: f64,
    p99: f64,
    /// KiB per idle tunnel, proportional set; not a number where they did not all stay open.
    idle: f64,
    /// Tunnels that did not open at the first try.
    failed: f64,
}

type Column = fn(&Sample) -> f64;

const COLUMNS: [(&str, Column); 6] = [
    ("CPU µs/tunnel", |sample| sample.tunnel),
    ("CPU s/GiB", |sample| sample.gib),
    ("p50 ms", |sample| sample.p50),
    ("p99 ms", |sample| sample.p99),
    ("KiB/idle", |sample| sample.idle),
    ("failed", |sample| sample.failed),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the open-file limit")?;
    let folder = tempfile::tempdir()?;
    node::certificate(folder.path())?;
    let mut servers = Vec::new();
    for node in NodeKind::ALL {
        servers.push((node, free_address()?));
    }
    let arena = Arena {
        other_build: options.other_build.clone(),
        keys: RealityKeys::generate(&options.sing_box)?,
        sing_box: options.sing_box.clone(),
        sing_box_reality: has_utls(&options.sing_box)?,
        xray: options.xray.clone(),
        mihomo: options.mihomo.clone(),
        servers,
        site: site::start(SERVER_NAME)?,
        folder: folder.path().to_owned(),
    };
    let _servers = arena.serve()?;
    println!(
        "{} runs each, interleaved: {} tunnels, {} MiB each way, {} idle tunnels; CPU and memory of the client alone",
        options.runs, options.tunnels, options.mib, options.idle
    );
    for node in NodeKind::ALL.into_iter().filter(|node| node.name().contains(&options.rows)) {
        match undialable(&arena, node) {
            Some(why) => println!("\n{}: SKIPPED, {why}", node.name()),
            None => println!("{}", table(node, &row(&arena, &options, node).await?)),
        }
    }
    Ok(())
}

/// Why our own engine cannot build a dialer for the row, if it cannot.
fn undialable(arena: &Arena, node: NodeKind) -> Option<String> {
    let server = arena.servers.iter().find(|(other, _)| *other == node)?.1;
    let link = node.link(server, &arena.keys);
    match hezar_formats::parse_link(&link) {
        Ok((spec, _)) => NativeEngine::new(&NativeEngineConfig::default())
            .dialer(&spec, AddressPolicy::Any)
            .err()
            .map(|error| error.to_string()),
        Err(code) => Some(format!("{code:?}")),
    }
}

async fn row(arena: &Arena, options: &Options, node: NodeKind) -> anyhow::Result<BTreeMap<usize, Vec<Sample>>> {
    let mut samples: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
    for run in 0..options.runs {
        for turn in 0..Client::ALL.len() {
            let place = (run + turn) % Client::ALL.len();
            let client = Client::ALL[place];
            if !arena.plays(client, node) {
                continue;
            }
            match run_one(arena, options, client, node).await {
                Ok(sample) => {
                    eprintln!("{} run {} {}: {sample:.2?}", node.name(), run + 1, client.name());
                    samples.entry(place).or_default().push(sample);
                }
                // A peer that fails is left out of this run of the row; the others are still compared.
                Err(error) if !is_ours(client) => {
                    println!("{} run {} {}: FAILED, {error:#}", node.name(), run + 1, client.name());
                }
                Err(error) => return Err(error.context(format!("hezar as the client of {}", node.name()))),
            }
        }
    }
    Ok(samples)
}

async fn run_one(arena: &Arena, options: &Options, client: Client, node: NodeKind) -> anyhow::Result<Sample> {
    let running = ready(arena, client, node).await?;
    let (process, way) = (&running.process, way_to(arena, &running, node)?);
    let times = load::latencies(&way, TIMED).await?;
    let at =
        |share: f64| times.get((times.len() as f64 * share) as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);

    let before = process.cpu();
    load::tunnels(&way, options.tunnels, AT_ONCE, false).await?;
    let tunnel = (process.cpu() - before).as_secs_f64() * 1e6 / options.tunnels as f64;

    let before = process.cpu();
    load::transfer(&way, options.mib << 20, STREAMS).await?;
    let gib = (process.cpu() - before).as_secs_f64() * 1024.0 / (2 * options.mib) as f64;
    let mut failed = way.failed();
    drop(running);

    // A process of its own: what the transfer left behind must not hide what the tunnels need.
    let running = ready(arena, client, node).await?;
    let (process, way) = (&running.process, way_to(arena, &running, node)?);
    sleep(REST).await;
    let before = process.proportional_kib()?;
    let idle = match load::tunnels(&way, options.idle, AT_ONCE, true).await {
        Ok(open) => {
            sleep(REST).await;
            (process.proportional_kib()? as f64 - before as f64) / open.len() as f64
        }
        // Some peers cannot hold that many on every row; their other figures stay.
        Err(error) if !is_ours(client) => {
            eprintln!("{} {}: no {} idle tunnels, {error:#}", node.name(), client.name(), options.idle);
            f64::NAN
        }
        Err(error) => return Err(error),
    };
    failed += way.failed();
    Ok(Sample { tunnel, gib, p50: at(0.50), p99: at(0.99), idle, failed: failed as f64 })
}

/// Starts a client and warms it up.
async fn ready(arena: &Arena, client: Client, node: NodeKind) -> anyhow::Result<RunningClient> {
    let running = arena.start(client, node)?;
    let way = way_to(arena, &running, node)?;
    let begun = tokio::time::Instant::now();
    // Ours may not have read its list yet.
    while let Err(error) = way.open(site::Verb::Echo).await {
        if begun.elapsed() > READY {
            return Err(error);
        }
        sleep(Duration::from_millis(50)).await;
    }
    load::tunnels(&way, WARM, AT_ONCE, false).await?;
    Ok(running)
}

fn way_to(arena: &Arena, running: &RunningClient, node: NodeKind) -> anyhow::Result<Way> {
    Way::new(running.socks, &arena.site, node.inner_tls().then_some(SERVER_NAME))
}

fn table(node: NodeKind, samples: &BTreeMap<usize, Vec<Sample>>) -> String {
    let mut text = format!("\n{:22}", node.name());
    for client in samples.keys().filter_map(|place| Client::ALL.get(*place)) {
        text += &format!("{:>12}", client.name());
    }
    let other = samples.keys().position(|place| Client::ALL.get(*place) == Some(&Client::OtherBuild));
    if other.is_some() {
        text += &format!("{:>18}", "ours/other build");
    }
    text += &format!("{:>20}", "ours/better peer");
    for (name, column) in COLUMNS {
        let medians: Vec<f64> =
            samples.values().map(|runs| median(&mut runs.iter().map(column).collect::<Vec<_>>())).collect();
        text += &format!("\n  {name:20}");
        for value in &medians {
            text += &if value.is_nan() { format!("{:>12}", "–") } else { format!("{value:>12.2}") };
        }
        let ours = medians.first().copied().unwrap_or(f64::NAN);
        if let Some(other) = other.and_then(|index| medians.get(index)) {
            text += &format!("{:>18}", ratio(ours, *other));
        }
        let peers = medians.iter().enumerate().skip(1).filter(|(index, _)| Some(*index) != other);
        let better = peers.map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        text += &format!("{:>20}", ratio(ours, better));
    }
    text
}

/// One figure as a multiple of another; a dash where there is nothing to compare with: nobody went through, or nothing was lost.
fn ratio(ours: f64, other: f64) -> String {
    if other.is_finite() && other > 0.0 { format!("{:.2}", ours / other) } else { "–".to_owned() }
}

/// Whether a failure of this client ends the measurement: a failing peer is only left out.
fn is_ours(client: Client) -> bool {
    matches!(client, Client::Hezar | Client::OtherBuild)
}

/// Whether this sing-box can play REALITY.
fn has_utls(sing_box: &std::path::Path) -> anyhow::Result<bool> {
    let output = std::process::Command::new(sing_box).arg("version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).contains("with_utls"))
}
