//! Our encrypted inbounds beside those of sing-box and Xray: CPU, latency and memory of the servers, as ratios.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use hezar_bench::{
    free_address,
    inbounds::{InboundArena, InboundKind, ServedBy, Server},
    load::{self, Way},
    median,
    node::{RealityKeys, SERVER_NAME},
    site,
};
use tokio::time::{Instant, sleep};

/// Requests that warm a server up.
const WARM: usize = 50;
/// Tunnels opened at the same time.
const AT_ONCE: usize = 16;
/// Streams of a transfer.
const STREAMS: u64 = 4;
/// What a server gets to come to rest.
const REST: Duration = Duration::from_secs(2);
/// From when a server counts as ready.
const READY: Duration = Duration::from_secs(20);

#[derive(Debug, Parser)]
#[command(about = "CPU, latency and memory of encrypted inbounds beside those of sing-box and Xray")]
struct Options {
    /// sing-box: a server, and the node that all servers go out through.
    #[arg(long)]
    sing_box: PathBuf,
    /// Xray, a server.
    #[arg(long)]
    xray: PathBuf,
    /// mihomo, the client of all of them.
    #[arg(long)]
    mihomo: PathBuf,
    /// Runs of each server on each row, interleaved; medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Requests timed one after the other, per run.
    #[arg(long, default_value_t = 300)]
    timed: usize,
    /// New tunnels per run.
    #[arg(long, default_value_t = 2000)]
    tunnels: usize,
    /// Idle tunnels per run; 0: none.
    #[arg(long, default_value_t = 2000)]
    idle: usize,
    /// MiB moved each way per run.
    #[arg(long, default_value_t = 256)]
    mib: u64,
    /// Only rows whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
}

/// What one run of one server on one row gave.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// µs of CPU per new tunnel.
    tunnel: f64,
    /// s of CPU per GiB, half of it down and half of it up.
    gib: f64,
    /// ms, through the client and the node.
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
    let arena = InboundArena {
        sing_box: options.sing_box.clone(),
        xray: options.xray.clone(),
        mihomo: options.mihomo.clone(),
        keys: RealityKeys::generate(&options.sing_box)?,
        site: site::start(SERVER_NAME)?,
        folder: folder.path().to_owned(),
        node: free_address()?,
    };
    arena.certify()?;
    let _node = arena.serve_node()?;
    println!(
        "{} runs each, interleaved: {} tunnels, {} MiB each way, {} idle tunnels; CPU and memory of the server alone, mihomo \
         as the client",
        options.runs, options.tunnels, options.mib, options.idle
    );
    let is_asked_for = |kind: &InboundKind| {
        options.kinds.is_empty() || options.kinds.iter().any(|part| kind.name().contains(part.as_str()))
    };
    for kind in InboundKind::ALL.into_iter().filter(is_asked_for) {
        println!("{}", table(kind, &row(&arena, &options, kind).await?));
    }
    Ok(())
}

async fn row(
    arena: &InboundArena,
    options: &Options,
    kind: InboundKind,
) -> anyhow::Result<BTreeMap<usize, Vec<Sample>>> {
    let mut samples: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
    for run in 0..options.runs {
        for turn in 0..ServedBy::ALL.len() {
            let place = (run + turn) % ServedBy::ALL.len();
            let Some(served_by) = ServedBy::ALL.get(place).copied().filter(|served_by| served_by.serves(kind)) else {
                continue;
            };
            match run_one(arena, options, served_by, kind).await {
                Ok(sample) => {
                    eprintln!("{} run {} {}: {sample:.2?}", kind.name(), run + 1, served_by.name());
                    samples.entry(place).or_default().push(sample);
                }
                // Whoever fails is left out of this run of the row; the others are still compared.
                Err(error) => println!("{} run {} {}: FAILED, {error:#}", kind.name(), run + 1, served_by.name()),
            }
        }
    }
    Ok(samples)
}

async fn run_one(
    arena: &InboundArena,
    options: &Options,
    served_by: ServedBy,
    kind: InboundKind,
) -> anyhow::Result<Sample> {
    let (server, way) = ready(arena, served_by, kind).await?;
    let times = load::latencies(&way, options.timed).await?;
    let at =
        |share: f64| times.get((times.len() as f64 * share) as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);

    let before = server.process.cpu();
    load::tunnels(&way, options.tunnels, AT_ONCE, false).await?;
    let tunnel = (server.process.cpu() - before).as_secs_f64() * 1e6 / options.tunnels as f64;

    let before = server.process.cpu();
    load::transfer(&way, options.mib << 20, STREAMS).await?;
    let gib = (server.process.cpu() - before).as_secs_f64() * 1024.0 / (2 * options.mib) as f64;
    let mut failed = way.failed();
    drop(server);

    let mut idle = f64::NAN;
    if options.idle > 0 {
        // A process of its own: what the transfer left behind must not hide what the tunnels need.
        let (server, way) = ready(arena, served_by, kind).await?;
        sleep(REST).await;
        let before = server.process.proportional_kib()?;
        match load::tunnels(&way, options.idle, AT_ONCE, true).await {
            Ok(open) => {
                sleep(REST).await;
                idle = (server.process.proportional_kib()? as f64 - before as f64) / open.len() as f64;
            }
            Err(error) => {
                eprintln!("{} {}: no {} idle tunnels, {error:#}", kind.name(), served_by.name(), options.idle);
            }
        }
        failed += way.failed();
    }
    Ok(Sample { tunnel, gib, p50: at(0.50), p99: at(0.99), idle, failed: failed as f64 })
}

/// Starts a server and warms it up.
async fn ready(arena: &InboundArena, served_by: ServedBy, kind: InboundKind) -> anyhow::Result<(Server, Way)> {
    let server = arena.start(served_by, kind).await?;
    let way = || Way::new(server.socks, &arena.site, kind.inner_tls().then_some(SERVER_NAME));
    let begun = Instant::now();
    // Ours may not have checked its node yet, and the client may not have read its list.
    while let Err(error) = way()?.open(site::Verb::Echo).await {
        if begun.elapsed() > READY {
            return Err(error);
        }
        sleep(Duration::from_millis(50)).await;
    }
    load::tunnels(&way()?, WARM, AT_ONCE, false).await?;
    let way = way()?;
    Ok((server, way))
}

fn table(kind: InboundKind, samples: &BTreeMap<usize, Vec<Sample>>) -> String {
    let mut text = format!("\n{:22}", kind.name());
    for served_by in samples.keys().filter_map(|place| ServedBy::ALL.get(*place)) {
        text += &format!("{:>12}", served_by.name());
    }
    text += &format!("{:>20}", "ours/better peer");
    for (name, column) in COLUMNS {
        let medians: Vec<f64> =
            samples.values().map(|runs| median(&mut runs.iter().map(column).collect::<Vec<_>>())).collect();
        text += &format!("\n  {name:20}");
        for value in &medians {
            text += &if value.is_nan() { format!("{:>12}", "–") } else { format!("{value:>12.2}") };
        }
        let ours = samples.contains_key(&0).then(|| medians.first().copied()).flatten().unwrap_or(f64::NAN);
        let better = medians.iter().skip(1).copied().fold(f64::INFINITY, f64::min);
        let ratio = better.is_finite() && better > 0.0 && ours.is_finite();
        text += &format!("{:>20}", if ratio { format!("{:.2}", ours / better) } else { "–".to_owned() });
    }
    text
}
