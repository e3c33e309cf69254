//! Strangers at our encrypted inbounds, at a fixed rate: what they cost, and how a good client fares meanwhile.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use hezar_bench::{
    figures::wait_until_open,
    free_address,
    inbounds::{InboundArena, InboundKind, ServedBy, Server, Strangers},
    load::{self, Way},
    node::{RealityKeys, SERVER_NAME},
    percentile, site,
};
use tokio::time::{Instant, sleep};

/// Requests of the good client in each window.
const TIMED: usize = 200;
/// From when a server counts as ready.
const READY: Duration = Duration::from_secs(20);
/// A little longer than the patience with strangers who say nothing.
const PATIENCE: Duration = Duration::from_secs(65);

#[derive(Debug, Parser)]
#[command(about = "Garbage, half requests and half handshakes at encrypted inbounds")]
struct Options {
    /// sing-box: the node behind the server.
    #[arg(long)]
    sing_box: Option<PathBuf>,
    /// Xray; it is not needed.
    #[arg(long)]
    xray: Option<PathBuf>,
    /// mihomo, the good client.
    #[arg(long)]
    mihomo: Option<PathBuf>,
    /// Strangers a second.
    #[arg(long, default_value_t = 500)]
    per_second: u32,
    /// How long they come to each inbound, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The time between two lines, in seconds.
    #[arg(long, default_value_t = 10)]
    every: u64,
    /// Only inbounds whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What a copy of this program does.
#[derive(Clone, Copy, Debug, Subcommand)]
enum Role {
    /// Is the strangers.
    #[command(hide = true)]
    Strangers { address: SocketAddr, per_second: u32 },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(Role::Strangers { address, per_second }) = options.role {
        return Strangers::play(address, per_second).await;
    }
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the open-file limit")?;
    let folder = tempfile::tempdir()?;
    let sing_box = options.sing_box.clone().context("--sing-box is needed")?;
    let arena = InboundArena {
        keys: RealityKeys::generate(&sing_box)?,
        sing_box,
        xray: options.xray.clone().unwrap_or_default(),
        mihomo: options.mihomo.clone().context("--mihomo is needed")?,
        site: site::start(SERVER_NAME)?,
        folder: folder.path().to_owned(),
        node: free_address()?,
    };
    arena.certify()?;
    let _node = arena.serve_node()?;
    println!("{} strangers a second for {} s; mihomo as the good client", options.per_second, options.seconds);
    for kind in InboundKind::ALL.into_iter().filter(|kind| !kind.is_udp() && is_asked_for(&options, *kind)) {
        visit(&arena, &options, kind).await.with_context(|| kind.name())?;
    }
    Ok(())
}

fn is_asked_for(options: &Options, kind: InboundKind) -> bool {
    options.kinds.is_empty() || options.kinds.iter().any(|part| kind.name().contains(part.as_str()))
}

/// One inbound before, while and after the strangers come.
async fn visit(arena: &InboundArena, options: &Options, kind: InboundKind) -> anyhow::Result<()> {
    println!("{}", kind.name());
    let server = arena.start(ServedBy::Hezar, kind).await?;
    let way = Way::new(server.socks, &arena.site, kind.inner_tls().then_some(SERVER_NAME))?;
    wait_until_open(&way, READY).await?;
    let every = Duration::from_secs(options.every);
    window("nobody else", &server, &way, every).await?;
    let strangers = Strangers::gather(server.address, options.per_second).await?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        window(&format!("after {:.0} s", begun.elapsed().as_secs_f64()), &server, &way, every).await?;
    }
    strangers.disperse().await?;
    sleep(PATIENCE).await;
    window("when they are gone", &server, &way, every).await
}

/// One line: how the good client fares, what the server has and what it uses.
async fn window(when: &str, server: &Server, way: &Way, every: Duration) -> anyhow::Result<()> {
    let (begun, cpu, failed) = (Instant::now(), server.process.cpu(), way.failed());
    let times = load::latencies(way, TIMED).await?;
    sleep(every.saturating_sub(begun.elapsed())).await;
    let used = (server.process.cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!(
        "  {when:>20}: p50 {:6.2} ms, p99 {:6.2} ms, {} failed; {:.2} cores, {:7} KiB",
        percentile(&times, 0.50),
        percentile(&times, 0.99),
        way.failed() - failed,
        used,
        server.process.proportional_kib()?
    );
    Ok(())
}
