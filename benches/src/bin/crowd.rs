//! Ten thousand idle tunnels, slow readers, slow writers, header bombs and a flood of garbage: what they cost, and how a good
//! client fares meanwhile.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::ensure;
use clap::Parser;
use hezar_bench::chaos::{self, Load, Tally, contestant::Contestant};
use hezar_lab::{DEMO_HOST, ECHO_HOST, Kind, World, WorldConfig};
use rlimit::Resource;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

#[derive(Clone, Copy, Debug, Parser)]
#[command(about = "Many clients that cost and do not behave")]
struct Cli {
    /// Idle tunnels.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Slow readers, and as many slow writers and header bombs.
    #[arg(long, default_value_t = 500)]
    slow: usize,
    /// Garbage connections a second.
    #[arg(long, default_value_t = 2000)]
    garbage: u64,
    /// How long each part is measured, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Descriptors beside those of idle tunnels, in this process and in the proxy.
const SPARE: u64 = 600;
/// Descriptors of one tunnel: two sockets in the proxy, and two here, the client's and the node's.
const EACH: u64 = 2;

/// The proxy under load and the good client beside it.
struct Scene {
    contestant: Contestant,
    proxy: SocketAddr,
    root: Vec<u8>,
    time: Duration,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let tunnels = room(cli.idle)?;
    let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, 50));
    config.max_connections = 8192;
    let world = World::start(config).await?;
    let nodes: Vec<SocketAddr> = world.nodes().iter().map(|node| node.address).collect();
    let home = tempfile::tempdir()?;
    let folder = home.path().to_path_buf();
    let contestant = tokio::task::spawn_blocking(move || Contestant::hezar(&folder, &nodes, "")).await??;
    let (proxy, root) = (contestant.proxy, world.root().to_vec());
    let mut scene = Scene { contestant, proxy, root, time: Duration::from_secs(cli.seconds) };
    sleep(Duration::from_secs(5)).await;
    scene.good_client("nobody else").await?;
    let (_, before) = scene.contestant.memory();
    let idle = open(proxy, tunnels, idle).await?;
    let held = scene.good_client(&format!("{} idle tunnels", idle.len())).await?;
    let each = held.saturating_sub(before) as f64 / idle.len().max(1) as f64;
    println!("  {:.1} KiB for each idle tunnel, both of its sockets' buffers in the kernel not counted", each);
    drop(idle);
    let readers = open(proxy, cli.slow, slow_reader).await?;
    scene.good_client(&format!("{} clients that do not read what they asked for", readers.len())).await?;
    drop(readers);
    let writers = open(proxy, cli.slow, slow_writer).await?;
    scene.good_client(&format!("{} clients that send a byte now and then", writers.len())).await?;
    drop(writers);
    // Their own thread, as if they were elsewhere: what a good client waits for is the proxy, not its neighbours here.
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let bombs = elsewhere.spawn(open(proxy, cli.slow, header_bomb)).await??;
    scene.good_client(&format!("{} heads without an end", bombs.len())).await?;
    drop(bombs);
    let flood = elsewhere.spawn(flood(proxy, cli.garbage));
    scene.good_client(&format!("{} connections of garbage a second", cli.garbage)).await?;
    flood.abort();
    elsewhere.shutdown_background();
    sleep(Duration::from_secs(2)).await;
    scene.good_client("nobody else again").await?;
    world.shutdown().await;
    Ok(())
}

/// As many tunnels as both processes may hold; the proxy inherits the limit. Root may raise it.
fn room(wanted: usize) -> anyhow::Result<usize> {
    let needed = EACH * wanted as u64 + SPARE;
    let (_, hard) = Resource::NOFILE.get()?;
    if hard < needed && Resource::NOFILE.set(needed, needed).is_err() {
        println!("the open-file limit of {hard} cannot be raised to {needed}");
    }
    let limit = rlimit::increase_nofile_limit(needed.max(hard))?;
    let room = usize::try_from(limit.saturating_sub(SPARE) / EACH)?.min(wanted);
    println!(
        "open files: {limit} for each process, {EACH} for a tunnel, {SPARE} spare: {room} of {wanted} idle tunnels"
    );
    Ok(room)
}

impl Scene {
    /// Measures a good client; gives the proxy's resident memory in KiB.
    async fn good_client(&mut self, beside: &str) -> anyhow::Result<u64> {
        let limit = Duration::from_secs(30);
        let load = Load { proxy: self.proxy, rate: 40.0, time: self.time, limit, root: self.root.clone() };
        let (cpu, begun) = (self.contestant.cpu(), Instant::now());
        let tally = Tally::of(&chaos::run(&load).await?);
        let (peak, resident) = self.contestant.memory();
        let cpu = 100.0 * (self.contestant.cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!(
            "{beside:<48} {tally}  CPU {cpu:>4.0} %, resident {:>4} MiB, peak {:>4} MiB",
            resident / 1024,
            peak / 1024
        );
        for (reason, count) in tally.wrong.iter().take(5) {
            println!("  {count:>7} × {reason}");
        }
        Ok(resident)
    }
}

/// Opens so many clients of a sort, some hundreds at a time.
async fn open<F>(proxy: SocketAddr, count: usize, make: fn(SocketAddr) -> F) -> anyhow::Result<Vec<JoinSet<()>>>
where
    F: Future<Output = anyhow::Result<JoinSet<()>>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(200));
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let place = places.clone().acquire_owned().await?;
        opening.spawn(async move {
            let made = timeout(Duration::from_secs(60), make(proxy)).await;
            drop(place);
            made
        });
    }
    let made: Vec<_> = opening.join_all().await.into_iter().filter_map(|made| made.ok()?.ok()).collect();
    ensure!(made.len() * 10 >= count * 9, "only {} of {count} could be opened", made.len());
    Ok(made)
}

async fn tunnel(proxy: SocketAddr, host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    ensure!(head.ends_with(b"200"), "refused");
    Ok(stream)
}

/// Keeps a stream for as long as the set lives.
fn keep(stream: TcpStream) -> JoinSet<()> {
    let mut set = JoinSet::new();
    set.spawn(async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    set
}

/// One in two says something first, so that both kinds of idling are there.
async fn idle(proxy: SocketAddr) -> anyhow::Result<JoinSet<()>> {
    let mut stream = tunnel(proxy, ECHO_HOST, 7).await?;
    if stream.local_addr()?.port() % 2 == 0 {
        stream.write_all(b"hello").await?;
        stream.read_exact(&mut [0; 5]).await?;
    }
    Ok(keep(stream))
}

async fn slow_reader(proxy: SocketAddr) -> anyhow::Result<JoinSet<()>> {
    let mut stream = TcpStream::connect(proxy).await?;
    let request = format!("GET http://{DEMO_HOST}/bytes/100000000 HTTP/1.1\r\nHost: {DEMO_HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.read_exact(&mut [0; 12]).await?;
    Ok(keep(stream))
}

async fn slow_writer(proxy: SocketAddr) -> anyhow::Result<JoinSet<()>> {
    let mut stream = tunnel(proxy, DEMO_HOST, 80).await?;
    let mut set = JoinSet::new();
    set.spawn(async move {
        for byte in b"GET / HTTP/1.1\r\n".iter().chain([b'a'].iter().cycle()) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    Ok(set)
}

/// As many header lines as are taken, and never the last one.
async fn header_bomb(proxy: SocketAddr) -> anyhow::Result<JoinSet<()>> {
    let mut set = JoinSet::new();
    set.spawn(async move {
        loop {
            let Ok(mut stream) = TcpStream::connect(proxy).await else { return };
            let line = format!("X: {}\r\n", "a".repeat(1000));
            let mut going = stream.write_all(b"GET http://demo.hezar/ HTTP/1.1\r\n").await;
            while going.is_ok() {
                going = stream.write_all(line.as_bytes()).await;
            }
            sleep(Duration::from_millis(500)).await;
        }
    });
    Ok(set)
}

/// Connections that say something that is no protocol, at a fixed rate.
async fn flood(proxy: SocketAddr, rate: u64) {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0_u64.. {
        sleep_until(began + Duration::from_secs_f64(number as f64 / rate as f64)).await;
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            let talk = async {
                let mut stream = TcpStream::connect(proxy).await?;
                let nonsense = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                stream.write_all(&nonsense).await?;
                stream.read(&mut [0; 256]).await
            };
            // Whatever it says.
            let _ = timeout(Duration::from_secs(5), talk).await;
        });
    }
}
