//! This gateway, sing-box, mihomo and Xray as clients of the same servers: CPU, latency and memory of each, as ratios.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use hezar_bench::{
    contest::{Arena, Client, RunningClient},
    figures::{Sample, Samples, idle_kib, table, turns, warm_up},
    free_address,
    load::Way,
    node::{self, NodeKind, RealityKeys, SERVER_NAME},
    site,
};
use hezar_engine::{AddressPolicy, Engine as _, NativeEngine, NativeEngineConfig};

/// Requests timed one after the other.
const TIMED: usize = 500;
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
    let names = Client::ALL.map(Client::name);
    let other_build = Client::ALL.iter().position(|client| *client == Client::OtherBuild);
    for node in NodeKind::ALL.into_iter().filter(|node| node.name().contains(&options.rows)) {
        match undialable(&arena, node) {
            Some(why) => println!("\n{}: SKIPPED, {why}", node.name()),
            None => println!("{}", table(node.name(), &names, &row(&arena, &options, node).await?, other_build)),
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

async fn row(arena: &Arena, options: &Options, node: NodeKind) -> anyhow::Result<Samples> {
    let mut samples = Samples::new();
    for (run, place) in turns(options.runs, Client::ALL.len()) {
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
    Ok(samples)
}

async fn run_one(arena: &Arena, options: &Options, client: Client, node: NodeKind) -> anyhow::Result<Sample> {
    let running = ready(arena, client, node).await?;
    let way = way_to(arena, &running, node)?;
    let mut sample = Sample::of_traffic(&running.process, &way, TIMED, options.tunnels, options.mib).await?;
    drop(running);

    // A process of its own: what the transfer left behind must not hide what the tunnels need.
    let running = ready(arena, client, node).await?;
    let way = way_to(arena, &running, node)?;
    match idle_kib(&running.process, &way, options.idle).await {
        Ok(idle) => sample.idle = idle,
        // Some peers cannot hold that many on every row; their other figures stay.
        Err(error) if !is_ours(client) => {
            eprintln!("{} {}: no {} idle tunnels, {error:#}", node.name(), client.name(), options.idle);
        }
        Err(error) => return Err(error),
    }
    sample.failed += way.failed() as f64;
    Ok(sample)
}

/// Starts a client and warms it up.
async fn ready(arena: &Arena, client: Client, node: NodeKind) -> anyhow::Result<RunningClient> {
    let running = arena.start(client, node)?;
    warm_up(&way_to(arena, &running, node)?, READY).await?;
    Ok(running)
}

fn way_to(arena: &Arena, running: &RunningClient, node: NodeKind) -> anyhow::Result<Way> {
    Way::new(running.socks, &arena.site, node.inner_tls().then_some(SERVER_NAME))
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
