//! Our encrypted inbounds beside those of sing-box and Xray: CPU, latency and memory of the servers, as ratios.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use hezar_bench::{
    figures::{Sample, Samples, idle_kib, table, turns, warm_up},
    free_address,
    inbounds::{InboundArena, InboundKind, ServedBy, Server},
    load::Way,
    node::{RealityKeys, SERVER_NAME},
    site,
};

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
    let names = ServedBy::ALL.map(ServedBy::name);
    for kind in InboundKind::ALL.into_iter().filter(is_asked_for) {
        println!("{}", table(kind.name(), &names, &row(&arena, &options, kind).await, None));
    }
    Ok(())
}

async fn row(arena: &InboundArena, options: &Options, kind: InboundKind) -> Samples {
    let mut samples = Samples::new();
    for (run, place) in turns(options.runs, ServedBy::ALL.len()) {
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
    samples
}

async fn run_one(
    arena: &InboundArena,
    options: &Options,
    served_by: ServedBy,
    kind: InboundKind,
) -> anyhow::Result<Sample> {
    let (server, way) = ready(arena, served_by, kind).await?;
    let mut sample = Sample::of_traffic(&server.process, &way, options.timed, options.tunnels, options.mib).await?;
    drop(server);
    if options.idle > 0 {
        // A process of its own: what the transfer left behind must not hide what the tunnels need.
        let (server, way) = ready(arena, served_by, kind).await?;
        sample.idle = idle_kib(&server.process, &way, options.idle).await.unwrap_or_else(|error| {
            eprintln!("{} {}: no {} idle tunnels, {error:#}", kind.name(), served_by.name(), options.idle);
            f64::NAN
        });
        sample.failed += way.failed() as f64;
    }
    Ok(sample)
}

/// Starts a server and warms it up.
async fn ready(arena: &InboundArena, served_by: ServedBy, kind: InboundKind) -> anyhow::Result<(Server, Way)> {
    let server = arena.start(served_by, kind).await?;
    let way = || Way::new(server.socks, &arena.site, kind.inner_tls().then_some(SERVER_NAME));
    // What fails before it is ready does not count.
    warm_up(&way()?, READY).await?;
    let way = way()?;
    Ok((server, way))
}
