//! What the access log costs: the same requests without it, with it, and over a disk that stands still.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Parser;
use hezar_bench::{Watched, api::Api, command, configure, free_address, get, percentile};
use hezar_lab::{World, WorldConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{interval, sleep, timeout},
};

#[derive(Clone, Copy, Debug, Parser)]
#[command(about = "The access log under load: its size, its share of the processor, and whether a slow disk is felt")]
struct Cli {
    /// How long each part is measured, in seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Requests a second, each over a connection of its own.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// The length of the user names, at most 255. They are quotation marks, each of which takes two bytes in a line.
    #[arg(long, default_value_t = 255)]
    name: usize,
    /// The bound of all files of the log, in MiB.
    #[arg(long, default_value_t = 64)]
    bound: u64,
}

/// A request that takes longer is a failed one.
const PATIENCE: Duration = Duration::from_secs(20);
const FOLDER: &str = "requests";

/// One part of the measurement.
struct Figures {
    times: Vec<Duration>,
    failed: usize,
    cpu: Duration,
    /// The most bytes that the folder of the log has had.
    largest: u64,
    lines: f64,
    written: f64,
    dropped: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let world = World::start(WorldConfig::healthy(4)).await?;
    let own = format!(
        "[access_log]\nfolder = \"{FOLDER}\"\nmax_bytes = \"{}MiB\"\nfile_bytes = \"{}MiB\"",
        cli.bound,
        (cli.bound / 8).max(1)
    );
    let pipe = format!("[access_log]\nfolder = \"{FOLDER}\"\nrotate = false");
    println!(
        "| access log | requests | failed | p50 ms | p99 ms | CPU ms per request | lines | dropped | MiB written | largest folder MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut costs = Vec::new();
    for (name, extra) in [("off", ""), ("on", own.as_str()), ("on, the disk stands still", pipe.as_str())] {
        let home = tempfile::tempdir()?;
        let _reader = if extra == pipe { Some(standing_still(home.path())?) } else { None };
        configure(home.path(), &world.links(), extra)?;
        let figures = measure(home.path(), cli).await.with_context(|| name.to_owned())?;
        let served = figures.times.len();
        let cost = figures.cpu.as_secs_f64() * 1000.0 / served.max(1) as f64;
        costs.push(cost);
        println!(
            "| {name} | {served} | {} | {:.1} | {:.1} | {cost:.3} | {} | {} | {:.1} | {:.0} | {:.1} |",
            figures.failed,
            percentile(&figures.times, 0.5),
            percentile(&figures.times, 0.99),
            figures.lines,
            figures.dropped,
            figures.written / f64::from(1 << 20),
            figures.written / f64::from(1 << 30) / cli.seconds as f64 * 86_400.0,
            figures.largest as f64 / f64::from(1 << 20),
        );
    }
    if let [off, on, ..] = costs[..] {
        println!("\nthe log's share of the program's processor time: {:.1} %", (on - off) / on * 100.0);
    }
    world.shutdown().await;
    Ok(())
}

/// A pipe in the place of the file, with a reader that never reads: a write to it does not end.
fn standing_still(home: &Path) -> anyhow::Result<fs::File> {
    let file = home.join(FOLDER).join("access.log");
    fs::create_dir(home.join(FOLDER))?;
    ensure!(Command::new("mkfifo").arg(&file).status()?.success(), "mkfifo failed");
    // Reading and writing, so that opening it waits for nobody (fifo(7)).
    Ok(fs::OpenOptions::new().read(true).write(true).open(file)?)
}

async fn measure(home: &Path, cli: Cli) -> anyhow::Result<Figures> {
    let (proxy, api) = (free_address()?, free_address()?);
    let (listen, control) = (proxy.to_string(), api.to_string());
    let program = Watched::start(&mut command(home, &["run", "--listen", &listen, "--api", &control])?)?;
    let ready = Instant::now() + PATIENCE;
    while get(proxy, "http://demo.hezar/", PATIENCE).is_ok_and(|(status, _)| status != 200)
        || get(api, "/healthz", PATIENCE).is_err()
    {
        ensure!(Instant::now() < ready, "it does not serve");
        sleep(Duration::from_millis(200)).await;
    }
    let before = program.cpu();
    let (times, failed, largest) = load(proxy, home, cli).await?;
    let cpu = program.cpu().saturating_sub(before);
    // What waits is written before it is counted.
    sleep(Duration::from_secs(1)).await;
    let api = Api { address: api, token: String::new() };
    let [lines, written, dropped] = [
        api.counter("hezar_access_log_lines_total", &[]).await?,
        api.counter("hezar_access_log_bytes_total", &[]).await?,
        api.counter("hezar_access_log_dropped_total", &[]).await?,
    ];
    Ok(Figures { times, failed, cpu, largest, lines, written, dropped })
}

/// Requests at a fixed rate, whether those before have been answered or not; their times in order, how many failed, and the most bytes of the
/// log.
async fn load(proxy: SocketAddr, home: &Path, cli: Cli) -> anyhow::Result<(Vec<Duration>, usize, u64)> {
    let login = BASE64_STANDARD.encode(format!("{}:x", "\"".repeat(cli.name)));
    let request = format!(
        "GET http://demo.hezar/ HTTP/1.1\r\nHost: demo.hezar\r\nProxy-Authorization: Basic {login}\r\nConnection: close\r\n\r\n"
    );
    let request: &'static str = Box::leak(request.into_boxed_str());
    let mut ticks = interval(Duration::from_secs(1) / cli.rate.max(1));
    let (mut running, mut times, mut failed, mut largest) = (JoinSet::new(), Vec::new(), 0, 0);
    for number in 0..u64::from(cli.rate) * cli.seconds {
        ticks.tick().await;
        running.spawn(timeout(PATIENCE, once(proxy, request)));
        while let Some(done) = running.try_join_next() {
            count(done?, &mut times, &mut failed);
        }
        if number % u64::from(cli.rate) == 0 {
            largest = largest.max(size(&home.join(FOLDER)));
        }
    }
    while let Some(done) = running.join_next().await {
        count(done?, &mut times, &mut failed);
    }
    times.sort_unstable();
    Ok((times, failed, largest.max(size(&home.join(FOLDER)))))
}

fn count<E>(done: Result<anyhow::Result<Duration>, E>, times: &mut Vec<Duration>, failed: &mut usize) {
    match done {
        Ok(Ok(time)) => times.push(time),
        _ => *failed += 1,
    }
}

async fn once(proxy: SocketAddr, request: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "refused");
    Ok(begun.elapsed())
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}
