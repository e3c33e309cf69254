//! From a store of 100,000 nodes to the first answered request: time and memory. `HEZAR_STARTUP_NODES` sets another number,
//! up to 1,000,000.

use std::time::{Duration, Instant};

use anyhow::ensure;
use hezar_bench::{Watched, command, configure, free_address, get, median};
use hezar_lab::{Kind, World, WorldConfig};

/// Nodes without `HEZAR_STARTUP_NODES`.
const NODES: usize = 100_000;
/// The most that the pool takes by default.
const MOST: usize = 1_000_000;
const RUNS: usize = 5;
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

fn measure(home: &std::path::Path, nodes: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (status, peak) = Watched::start(&mut command(home, &["fetch"])?)?.wait(LIMIT)?;
    ensure!(status.success(), "hezar fetch failed");
    println!("fetch  {nodes} nodes into SQLite: {:.2} s, peak {} MiB", begun.elapsed().as_secs_f64(), peak / 1024);
    let begun = Instant::now();
    let (status, peak) = Watched::start(&mut command(home, &["probe"])?)?.wait(LIMIT)?;
    ensure!(status.success(), "hezar probe failed");
    println!("probe  {nodes} living nodes: {:.2} s, peak {} MiB", begun.elapsed().as_secs_f64(), peak / 1024);
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let proxy = free_address()?;
        let api = free_address()?;
        let begun = Instant::now();
        let arguments = ["run", "--listen", &proxy.to_string(), "--api", &api.to_string()].map(str::to_owned);
        let mut instance = Watched::start(&mut command(home, &arguments.each_ref().map(String::as_str))?)?;
        while !matches!(get(proxy, "http://demo.hezar/generate_204", Duration::from_secs(5)), Ok((204, _))) {
            ensure!(begun.elapsed() < LIMIT, "no answer through the proxy");
            std::thread::sleep(Duration::from_millis(5));
        }
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
