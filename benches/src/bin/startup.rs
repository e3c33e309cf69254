//! From a store of 100,000 nodes to the first answered request: time and memory; then how fast the control API answers what is
//! asked of it again and again. `HEZAR_STARTUP_NODES` sets another number, up to 1,000,000.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use hezar_bench::{Watched, api::Api, command, configure, free_address, get, median};
use hezar_lab::{Kind, World, WorldConfig};

/// Nodes without `HEZAR_STARTUP_NODES`.
const NODES: usize = 100_000;
/// The most that the pool takes by default.
const MOST: usize = 1_000_000;
const RUNS: usize = 5;
/// Requests for each path of the API.
const ROUNDS: usize = 9;
const LIMIT: Duration = Duration::from_secs(1200);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut world_config = WorldConfig::kinds([Kind::Socks5]);
    world_config.max_connections = 8192;
    let world = World::start(world_config).await?;
    // One server that asks for no password serves every user name: as many nodes as wanted, all of them real.
    let addresses: Vec<_> = world.nodes().iter().map(|node| node.address).collect();
    let asked = std::env::var("HEZAR_STARTUP_NODES").ok().map(|text| text.parse::<usize>()).transpose()?;
    let nodes = asked.unwrap_or(NODES).clamp(1, MOST);
    let list: String = (0..nodes)
        .zip(addresses.iter().cycle())
        .map(|(number, address)| format!("socks5://n{number}:x@{address}#node-{number}\n"))
        .collect();
    let home = tempfile::tempdir()?;
    let extra = "per_host = 2000\nper_second = 100000\ninterval = \"1h\"\n[pool]\nmax_nodes_per_source = 1000000";
    configure(home.path(), &list, extra)?;
    drop(list);
    tokio::task::spawn_blocking(move || measure(home.path(), nodes)).await??;
    world.shutdown().await;
    Ok(())
}

fn measure(home: &Path, nodes: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (status, peak) = Watched::start(&mut command(home, &["fetch"])?)?.wait(LIMIT)?;
    ensure!(status.success(), "hezar fetch failed");
    println!("fetch  {nodes} nodes into SQLite: {:.2} s, peak {} MiB", begun.elapsed().as_secs_f64(), peak / 1024);
    let begun = Instant::now();
    let (status, peak) = Watched::start(&mut command(home, &["probe"])?)?.wait(LIMIT)?;
    ensure!(status.success(), "hezar probe failed");
    println!("probe  {nodes} living nodes: {:.2} s, peak {} MiB", begun.elapsed().as_secs_f64(), peak / 1024);
    starts(home, nodes)?;
    control(home, nodes)
}

/// Starts the program again and again.
fn starts(home: &Path, nodes: usize) -> anyhow::Result<()> {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let begun = Instant::now();
        let (mut instance, _) = start(home)?;
        times.push(begun.elapsed().as_secs_f64());
        let (_, resident) = instance.memory();
        memory.push(resident as f64 / 1024.0);
    }
    println!(
        "start  {nodes} nodes from SQLite to the first answer: median {:.2} s of {times:.2?}; resident {:.0} MiB",
        median(&mut times.clone()),
        median(&mut memory)
    );
    Ok(())
}

/// Starts the program and waits until it answers through the proxy; gives the address of its API, too.
fn start(home: &Path) -> anyhow::Result<(Watched, SocketAddr)> {
    let (proxy, api) = (free_address()?, free_address()?);
    let begun = Instant::now();
    let arguments = ["run", "--listen", &proxy.to_string(), "--api", &api.to_string()].map(str::to_owned);
    let instance = Watched::start(&mut command(home, &arguments.each_ref().map(String::as_str))?)?;
    while !matches!(get(proxy, "http://demo.hezar/generate_204", Duration::from_secs(5)), Ok((204, _))) {
        ensure!(begun.elapsed() < LIMIT, "no answer through the proxy");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok((instance, api))
}

/// How long the answers take that monitors and pages ask for again and again, while nothing else goes on.
fn control(home: &Path, nodes: usize) -> anyhow::Result<()> {
    let (_instance, address) = start(home)?;
    let token = fs::read_to_string(home.join("hezar-data").join("token"))?.trim().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let api = Api { address, token };
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/history"] {
        let mut times = Vec::new();
        for _ in 0..=ROUNDS {
            // Answers that are kept for a second are made anew.
            std::thread::sleep(Duration::from_millis(1100));
            let begun = Instant::now();
            runtime.block_on(api.get(path))?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        // The first one opens what the others find open.
        let first = times.remove(0);
        let worst = times.iter().copied().fold(0.0, f64::max);
        println!(
            "{path:16} {nodes} nodes: median {:.1} ms, worst {worst:.1} ms of {ROUNDS}; the first {first:.1} ms",
            median(&mut times)
        );
    }
    Ok(())
}
