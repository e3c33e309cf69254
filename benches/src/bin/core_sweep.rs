//! One full sweep of nodes most of which accept and never answer: by the PROBE core of `engine = "clash"`, and by mihomo's own health check
//! of a provider over the same nodes.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use hezar_bench::{
    Watched,
    api::Api,
    chaos::contestant::{Contestant, peer},
    configure, free_address, get,
    sidecar::{children_of, core_of},
};
use hezar_lab::{Kind, SilentListeners, World, WorldConfig};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, Parser)]
#[command(about = "A sweep of mostly mute nodes by the PROBE core, beside mihomo's own health check")]
struct Cli {
    /// Nodes.
    #[arg(long, default_value_t = 2000)]
    nodes: usize,
    /// How many of a hundred accept and never answer.
    #[arg(long, default_value_t = 80)]
    mute: usize,
    /// How long mihomo's own check may take, in seconds; its whole sweep is reckoned from how far it comes.
    #[arg(long, default_value_t = 180)]
    limit: u64,
}

/// How long a node has to answer, for both.
const TIMEOUT_SECS: u64 = 5;
/// A sweep that takes longer is none.
const LIMIT: Duration = Duration::from_secs(1800);
const LOOK: Duration = Duration::from_millis(200);
const TOKEN: &str = "the-token-of-the-sweep";
const TEST_URL: &str = "http://demo.hezar/generate_204";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mihomo = peer("mihomo").context("mihomo is not installed: cargo xtask peers install")?;
    let mute = cli.nodes * cli.mute / 100;
    // Each node is a server of its own: what would tell nodes of one server apart, a user name, is nothing that these servers know.
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, cli.nodes - mute));
    config.max_connections = 512;
    let world = World::start(config).await?;
    let farm = SilentListeners::start(mute).await?;
    let (mut living, mut silent) = (world.nodes().iter().map(|node| node.address), farm.addresses().iter().copied());
    let nodes: Vec<SocketAddr> = (0..cli.nodes)
        .filter_map(|number| {
            // The mute ones are spread evenly.
            let is_mute = (number + 1) * mute / cli.nodes > number * mute / cli.nodes;
            if is_mute { silent.next() } else { living.next() }
        })
        .collect();
    let home = tempfile::tempdir()?;
    let probe = by_probe_core(&mihomo, home.path(), &nodes).await?;
    let folder = home.path().to_path_buf();
    let limit = Duration::from_secs(cli.limit);
    let own = tokio::task::spawn_blocking(move || by_own_check(&mihomo, &folder, &nodes, limit)).await??;
    println!("mihomo's own check takes {:.1} times as long", own / probe);
    farm.shutdown().await;
    world.shutdown().await;
    Ok(())
}

/// How long the first sweep takes, in seconds, from the start of the program on.
async fn by_probe_core(mihomo: &Path, home: &Path, nodes: &[SocketAddr]) -> anyhow::Result<f64> {
    let home = home.join("hezar");
    fs::create_dir_all(&home)?;
    let list: String = nodes.iter().map(|node| format!("socks5://{node}\n")).collect();
    let rest = format!(
        "timeout = \"{TIMEOUT_SECS}s\"\nper_second = 100000\n[api]\ntoken = \"{TOKEN}\"\n[engine]\nkind = \"clash\"\n[sidecar]\nmihomo = \"{}\"\n",
        mihomo.display()
    );
    configure(&home, &list, &rest)?;
    let api = Api { address: free_address()?, token: TOKEN.to_owned() };
    let (folder, address, begun) = (home.clone(), api.address, Instant::now());
    let mut hezar = tokio::task::spawn_blocking(move || Contestant::open(&folder, address)).await??;
    // Every node has been probed once by then: nobody is probed twice before the others had their turn.
    while api.counter("hezar_probe_total", &[]).await? < nodes.len() as f64 {
        ensure!(begun.elapsed() < LIMIT, "the sweep does not end");
        tokio::time::sleep(LOOK).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let healthy = api.counter("hezar_probe_total", &["result=\"ok\""]).await?;
    let (peak, _) = hezar.memory_with_cores();
    println!(
        "PROBE core: {} nodes, timeout {TIMEOUT_SECS} s: swept in {seconds:.1} s, {healthy} work; peak of {} processes together {} MiB",
        nodes.len(),
        1 + children_of(hezar.pid()).len(),
        peak / 1024
    );
    core_of(hezar.pid(), "mihomo").context("the nodes were not checked by a core")?;
    Ok(seconds)
}

/// How long mihomo's own check of a provider takes, in seconds; reckoned when it does not end in time.
fn by_own_check(mihomo: &Path, home: &Path, nodes: &[SocketAddr], limit: Duration) -> anyhow::Result<f64> {
    let (home, control) = (home.join("mihomo"), free_address()?);
    fs::create_dir_all(&home)?;
    let proxy = |(number, node): (usize, &SocketAddr)| json!({ "name": format!("node-{number}"), "type": "socks5", "server": node.ip(), "port": node.port() });
    let proxies: Vec<Value> = nodes.iter().enumerate().map(proxy).collect();
    fs::write(home.join("pool.yaml"), json!({ "proxies": proxies }).to_string())?;
    let check = json!({
        "enable": true, "url": TEST_URL, "interval": 86400, "lazy": false, "timeout": TIMEOUT_SECS * 1000,
    });
    // JSON is YAML.
    let config = json!({
        "external-controller": control.to_string(), "log-level": "silent", "mode": "rule",
        "proxy-providers": { "pool": { "type": "file", "path": "./pool.yaml", "health-check": check } },
        "proxy-groups": [{ "name": "POOL", "type": "load-balance", "strategy": "round-robin", "use": ["pool"] }],
        "rules": ["MATCH,POOL"],
    });
    let file = home.join("config.yaml");
    fs::write(&file, config.to_string())?;
    let begun = Instant::now();
    let mut command = Command::new(mihomo);
    let mut process = Watched::start(command.arg("-d").arg(&home).arg("-f").arg(&file).current_dir(&home))?;
    let mut tried = 0;
    while tried < nodes.len() && begun.elapsed() < limit {
        std::thread::sleep(LOOK);
        tried = tested(control).unwrap_or(tried);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let whole = elapsed * nodes.len() as f64 / tried.max(1) as f64;
    let peak = process.memory().0 / 1024;
    let note = if tried < nodes.len() {
        format!(", {tried} tried; the whole takes {whole:.0} s at that pace")
    } else {
        String::new()
    };
    println!("mihomo's own check: {} nodes: {elapsed:.1} s{note}; peak {peak} MiB", nodes.len());
    Ok(whole)
}

/// How many nodes of the provider have been tried.
fn tested(control: SocketAddr) -> anyhow::Result<usize> {
    let (_, answer) = get(control, "/providers/proxies/pool", Duration::from_secs(60))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer of mihomo")?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let provider: Value = serde_json::from_str(&if is_chunked { joined(body) } else { body.to_owned() })?;
    let nodes = provider["proxies"].as_array().context("no nodes")?;
    Ok(nodes.iter().filter(|node| node["history"].as_array().is_some_and(|history| !history.is_empty())).count())
}

/// The body of chunks (RFC 9112 §7.1).
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let Some(chunk) = usize::from_str_radix(length.trim(), 16).ok().and_then(|length| rest.get(..length)) else {
            break;
        };
        body.push_str(chunk);
        chunks = rest.get(chunk.len() + 2..).unwrap_or_default();
    }
    body
}
