//! One full sweep of 10,000 nodes of which 8,000 accept and never answer, beside sing-box's urltest over the same nodes.
//! `HEZAR_SWEEP_NODES` sets another number, 10,000 to 1,000,000, with the same 8,000 among them and without the peer.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use hezar_bench::{Watched, command, configure, free_address, get};
use hezar_lab::{Kind, SilentListeners, World, WorldConfig};
use serde_json::json;

const NODES: usize = 10_000;
/// The most that the pool takes by default.
const MOST: usize = 1_000_000;
const MUTE: usize = 8_000;
/// How long the peer may work: its full sweep would take hours.
const PEER_LIMIT: Duration = Duration::from_secs(120);
const LIMIT: Duration = Duration::from_secs(1800);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Four nodes a server, as in real lists, where many links lead to one host.
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, 500));
    config.max_connections = 512;
    let world = World::start(config).await?;
    let farm = SilentListeners::start(MUTE / 4).await?;
    let living: Vec<SocketAddr> = world.nodes().iter().map(|node| node.address).collect();
    let mute: Vec<SocketAddr> = farm.addresses().to_vec();
    let asked = std::env::var("HEZAR_SWEEP_NODES").ok().map(|text| text.parse::<usize>()).transpose()?;
    let count = asked.unwrap_or(NODES).clamp(NODES, MOST);
    let nodes: Vec<SocketAddr> = (0..count)
        .filter_map(|number| {
            // The mute ones are spread evenly; of 10,000 nodes every fifth lives.
            let is_mute = (number + 1) * MUTE / count > number * MUTE / count;
            let servers = if is_mute { &mute } else { &living };
            servers.get(number % servers.len()).copied()
        })
        .collect();
    let home = tempfile::tempdir()?;
    let peer = std::env::var_os("HEZAR_SING_BOX");
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        hezar(home.path(), &nodes)?;
        match peer.filter(|_| count == NODES) {
            Some(program) => sing_box(home.path(), Path::new(&program), &nodes),
            None => {
                println!("sing-box  skipped: HEZAR_SING_BOX names no program, or the number of nodes is another one");
                Ok(())
            }
        }
    })
    .await??;
    farm.shutdown().await;
    world.shutdown().await;
    Ok(())
}

fn hezar(home: &Path, nodes: &[SocketAddr]) -> anyhow::Result<()> {
    let list: String = nodes
        .iter()
        .enumerate()
        .map(|(number, address)| format!("socks5://n{number}:x@{address}#node-{number}\n"))
        .collect();
    let bounds = "[pool]\nmax_nodes_per_source = 1000000";
    configure(home, &list, &format!("timeout = \"5s\"\nper_second = 100000\n{bounds}"))?;
    let (status, _) = Watched::start(&mut command(home, &["fetch"])?)?.wait(LIMIT)?;
    ensure!(status.success(), "hezar fetch failed");
    let begun = Instant::now();
    let (status, peak) = Watched::start(&mut command(home, &["probe"])?)?.wait(LIMIT)?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(status.success(), "hezar probe failed");
    println!(
        "hezar     {} nodes, {MUTE} mute, timeout 5 s: swept in {seconds:.1} s, peak {} MiB",
        nodes.len(),
        peak / 1024
    );
    Ok(())
}

fn sing_box(home: &Path, program: &Path, nodes: &[SocketAddr]) -> anyhow::Result<()> {
    let control = free_address()?;
    let names: Vec<String> = (0..nodes.len()).map(|number| format!("node-{number}")).collect();
    let mut outbounds: Vec<_> = nodes
        .iter()
        .zip(&names)
        .map(|(address, name)| {
            json!({ "type": "socks", "tag": name, "server": address.ip(), "server_port": address.port(), "version": "5" })
        })
        .collect();
    outbounds.push(json!({
        "type": "urltest", "tag": "all", "outbounds": names, "url": "http://demo.hezar/generate_204", "interval": "24h", "idle_timeout": "48h"
    }));
    let config = json!({
        "log": { "disabled": true },
        "outbounds": outbounds,
        "route": { "final": "all" },
        "experimental": { "clash_api": { "external_controller": control.to_string() } },
    });
    let file = home.join("sing-box.json");
    fs::write(&file, config.to_string())?;
    let mut peer = Watched::start(Command::new(program).arg("run").arg("-c").arg(&file).current_dir(home))?;
    let begun = Instant::now();
    while get(control, "/version", Duration::from_secs(1)).is_err() {
        ensure!(begun.elapsed() < Duration::from_secs(60), "sing-box did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    // It begins its check by itself when it starts; the delays it has measured tell how far it came.
    let begun = Instant::now();
    let mut found = 0;
    while found < NODES - MUTE && begun.elapsed() < PEER_LIMIT {
        std::thread::sleep(Duration::from_secs(1));
        found = proven(control)?;
    }
    let ended = found >= NODES - MUTE;
    let seconds = begun.elapsed().as_secs_f64();
    let (peak, _) = peer.memory();
    let peak = peak / 1024;
    if ended {
        println!("sing-box  the same nodes (urltest): swept in {seconds:.1} s, {found} found alive, peak {peak} MiB");
        return Ok(());
    }
    // Every fifth node in its order lives, so the number found tells how far it came.
    let share = found as f64 * 5.0 / NODES as f64;
    println!(
        "sing-box  the same nodes (urltest): stopped after {seconds:.0} s with {found} found alive, about {:.0} % of the \
         sweep; at that pace the whole takes {:.0} s; peak {peak} MiB",
        share * 100.0,
        seconds / share
    );
    Ok(())
}

/// How many nodes have a measured delay.
fn proven(control: SocketAddr) -> anyhow::Result<usize> {
    let (_, answer) = get(control, "/proxies", Duration::from_secs(60))?;
    Ok(answer.matches("\"delay\":").count())
}
