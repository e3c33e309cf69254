//! Takeovers in a row under requests and open tunnels: what fails, what is cut, and how long requests take meanwhile.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Parser;
use hezar_bench::{
    chaos::{self, Load, Shot, Tally, contestant::Contestant},
    churn::{Life, live},
    command, configure, free_address, percentile,
};
use hezar_lab::{Kind, World, WorldConfig};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

#[derive(Clone, Copy, Debug, Parser)]
#[command(about = "Takeovers in a row under load, and upgrades to a program that does not start")]
struct Cli {
    /// How often a new process takes over.
    #[arg(long, default_value_t = 10)]
    takeovers: u32,
    /// How often an upgrade to a broken program is tried behind that.
    #[arg(long, default_value_t = 2)]
    broken: u32,
    /// Requests a second, each over a connection of its own.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Tunnels that are open all the time.
    #[arg(long, default_value_t = 300)]
    tunnels: u64,
    /// Between two exchanges of bytes in one tunnel, in ms.
    #[arg(long, default_value_t = 500)]
    pause: u64,
    /// Sessions whose exit must stay the same.
    #[arg(long, default_value_t = 50)]
    sessions: u32,
    /// Between two takeovers, in seconds.
    #[arg(long, default_value_t = 4)]
    rest: u64,
    /// Nodes behind the sources that do not work: they make the store larger.
    #[arg(long, default_value_t = 2000)]
    dead: u32,
}

const SERVERS: usize = 40;
/// The longest that one upgrade may take when the length of the load is planned.
const PLANNED: u64 = 12;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, SERVERS));
    config.max_connections = 8192;
    let world = World::start(config).await?;
    let home = tempfile::tempdir()?;
    let dead: String = (0..cli.dead).map(|n| format!("trojan://pw{n}@b{n}.example.test:443#n{n}\n")).collect();
    configure(
        home.path(),
        &(world.links() + &dead),
        "interval = \"10s\"\n[api]\ntoken = \"the-token-of-the-takeovers\"",
    )?;
    let (folder, api) = (home.path().to_path_buf(), free_address()?);
    let first = spawn_blocking(move || Contestant::configured(&folder, api)).await??;
    let measured = measure(cli, home.path(), first.proxy, &world).await;
    end(home.path())?;
    world.shutdown().await;
    measured
}

async fn measure(cli: Cli, home: &Path, proxy: SocketAddr, world: &World) -> anyhow::Result<()> {
    while healthy(home).await? < SERVERS as u64 {
        sleep(Duration::from_millis(200)).await;
    }
    let exits = session_exits(proxy, cli.sessions).await?;

    let (stop, stopped) = watch::channel(false);
    let pause = Duration::from_millis(cli.pause);
    let tunnels: JoinSet<Life> = (0..cli.tunnels).map(|number| live(proxy, number, pause, stopped.clone())).collect();
    sleep(Duration::from_secs(3)).await;
    let rounds = u64::from(cli.takeovers + cli.broken);
    let time = Duration::from_secs(rounds * (cli.rest + PLANNED));
    let load = Load::at_rate(proxy, cli.rate, time, Duration::from_secs(20), world.root());
    let begun = Instant::now();
    let requests = tokio::spawn(async move { chaos::run(&load).await });
    let mut windows = Vec::new();
    for round in 0..rounds {
        sleep(Duration::from_secs(cli.rest)).await;
        let is_broken = round >= u64::from(cli.takeovers);
        let from = begun.elapsed();
        upgrade(home, is_broken).await?;
        let took = begun.elapsed() - from;
        windows.push(from..from + took);
        let now = session_exits(proxy, cli.sessions).await?;
        let moved = exits.iter().zip(&now).filter(|(before, now)| before != now).count();
        println!(
            "{} {round}: {:.1} s, {moved} of {} sessions at another exit",
            if is_broken { "broken upgrade" } else { "takeover" },
            took.as_secs_f64(),
            exits.len()
        );
        ensure!(moved == 0, "sessions have moved");
    }
    let shots = requests.await??;
    stop.send_replace(true);
    let lives = tunnels.join_all().await;
    let cut: Vec<_> = lives.iter().filter_map(|life| life.broken.as_ref()).collect();
    let tally = Tally::of(&shots);
    println!("tunnels   {} open all the time, {} cut", lives.len(), cut.len());
    cut.iter().take(8).for_each(|reason| println!("  {reason}"));
    println!("requests  {tally}");
    tally.wrong.iter().for_each(|(reason, count)| println!("  {count:>7} × {reason}"));
    let (during, outside): (Vec<&Shot>, Vec<&Shot>) = shots.iter().partition(|shot| is_during(shot, &windows));
    println!("latency   during takeovers: {}; outside: {}", times(&during), times(&outside));
    ensure!(cut.is_empty() && tally.right == tally.all, "{} cut, {} failed", cut.len(), tally.all - tally.right);
    Ok(())
}

/// Runs `hezar upgrade`; a broken program has to be refused.
async fn upgrade(home: &Path, is_broken: bool) -> anyhow::Result<()> {
    let mut arguments = vec!["upgrade"];
    if is_broken {
        arguments.extend(["--binary", "/bin/false"]);
    }
    let mut upgrade = command(home, &arguments)?;
    let output = spawn_blocking(move || upgrade.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() != is_broken, "the upgrade ended with {}: {said}", output.status);
    Ok(())
}

/// How many nodes work, as `hezar status` says.
async fn healthy(home: &Path) -> anyhow::Result<u64> {
    let mut status = command(home, &["status", "--json"])?;
    let output = spawn_blocking(move || status.output()).await??;
    let told: Value = serde_json::from_slice(&output.stdout).context("no status")?;
    told["nodes"]["healthy"].as_u64().context("no number of healthy nodes")
}

/// The node that serves each session.
async fn session_exits(proxy: SocketAddr, sessions: u32) -> anyhow::Result<Vec<String>> {
    spawn_blocking(move || (0..sessions).map(|number| exit(proxy, number)).collect()).await?
}

fn exit(proxy: SocketAddr, session: u32) -> anyhow::Result<String> {
    let login = BASE64_STANDARD.encode(format!("somebody-session-s{session}:x"));
    let mut stream = TcpStream::connect(proxy)?;
    let head = format!("Host: demo.hezar\r\nProxy-Authorization: Basic {login}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("GET http://demo.hezar/ HTTP/1.1\r\n{head}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").context("no answer")?.1;
    let told: Value = serde_json::from_str(body).with_context(|| format!("no node: {answer}"))?;
    told["node"].as_str().map(str::to_owned).context("no node")
}

/// Whether a request was under way while a process took over.
fn is_during(shot: &Shot, windows: &[Range<Duration>]) -> bool {
    windows.iter().any(|window| shot.at < window.end && shot.at + shot.took > window.start)
}

fn times(shots: &[&Shot]) -> String {
    let mut took: Vec<Duration> = shots.iter().map(|shot| shot.took).collect();
    took.sort_unstable();
    let of = |share| percentile(&took, share);
    format!("{} requests, p50 {:.1}  p99 {:.1}  p99.9 {:.1} ms", took.len(), of(0.5), of(0.99), of(0.999))
}

/// Ends the instance that serves, which nobody here has started.
fn end(home: &Path) -> anyhow::Result<()> {
    let note: Value = serde_json::from_slice(&fs::read(home.join("hezar-data/instance.json"))?)?;
    let Some(pid) = note["pid"].as_u64() else { bail!("the note names no process") };
    ensure!(Command::new("kill").arg(pid.to_string()).status()?.success(), "process {pid} is gone");
    Ok(())
}
