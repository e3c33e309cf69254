//! What clients of several gateways notice: their sessions, their quota, and gateways that are killed.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use hezar_lab::Fault;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Arena, LIMIT, Size, line};
use crate::chaos::{self, Load, Tally};

/// Sessions over a balancer that sprays.
#[derive(Clone, Debug, clap::Args)]
pub struct SessionsRun {
    #[command(flatten)]
    size: Size,
    /// How many sessions.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// How often each is used; in the middle a gateway is killed.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
}

impl SessionsRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut arena = Arena::start(&self.size).await?;
        let balancer = arena.cluster.spray(&self.size.haproxy, &arena.gateways)?;
        let (proxy, mut exits, mut moved, mut failed) = (balancer.address, HashMap::new(), 0, 0);
        for round in 0..self.rounds {
            if round == self.rounds / 2 {
                arena.gateways.first_mut().context("no gateway")?.kill();
                sleep(Duration::from_secs(1)).await;
            }
            for chunk in (0..self.sessions).collect::<Vec<_>>().chunks(32) {
                let mut running = JoinSet::new();
                for session in chunk.iter().copied() {
                    let user = format!("alice-session-s{session}");
                    running.spawn(async move { (session, exit(proxy, &user).await) });
                }
                while let Some(ended) = running.join_next().await {
                    match ended? {
                        (session, Ok(exit)) => moved += usize::from(*exits.entry(session).or_insert(exit) != exit),
                        (_, Err(_)) => failed += 1,
                    }
                }
            }
        }
        let requests = self.sessions * self.rounds;
        line(
            &format!("{} sessions over {} gateways, one killed", self.sessions, self.size.gateways),
            format_args!("{moved} of {requests} requests came out elsewhere, {failed} failed"),
        );
        Ok(())
    }
}

/// The number of the node that served a request of a user.
async fn exit(proxy: SocketAddr, user: &str) -> anyhow::Result<u64> {
    let body = get(proxy, user, "http://demo.hezar/").await?;
    let body: Value = serde_json::from_slice(&body)?;
    body["index"].as_u64().context("not the origin's answer")
}

/// The body of a good answer.
async fn get(proxy: SocketAddr, user: &str, url: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(proxy).await?;
    let login = BASE64_STANDARD.encode(format!("{user}:p"));
    let request = format!(
        "GET {url} HTTP/1.1\r\nHost: demo.hezar\r\nProxy-Authorization: Basic {login}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut answer)).await??;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no head")?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "refused");
    Ok(answer.split_off(end + 4))
}

/// One user's quota over all gateways.
#[derive(Clone, Debug, clap::Args)]
pub struct QuotaRun {
    #[command(flatten)]
    size: Size,
    /// The quota, in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// What each gateway serves a second, in MiB.
    #[arg(long, default_value_t = 8)]
    per_second: u64,
}

impl QuotaRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn run(self) -> anyhow::Result<()> {
        let (mut cluster, world) = Arena::prepare(&self.size).await?;
        let quota = format!("quota = {{ total = \"{}MiB\" }}", self.mib);
        cluster.proxy = format!("users = [{{ name = \"alice\", password = \"p\", {quota} }}]\n");
        let arena = Arena::with(&self.size, cluster, world)?;
        let mut running = JoinSet::new();
        for gateway in &arena.gateways {
            let (proxy, rate, most) = (gateway.proxy, self.per_second, self.mib);
            running.spawn(async move {
                let (mut moved, began) = (0_u64, Instant::now());
                for number in 1..=most {
                    let Ok(body) = get(proxy, "alice", "http://demo.hezar/bytes/1048576").await else { break };
                    moved += body.len() as u64;
                    let next = Duration::from_millis(1000 * number / rate);
                    sleep(next.saturating_sub(began.elapsed())).await;
                }
                moved
            });
        }
        let moved: u64 = running.join_all().await.into_iter().sum();
        let over = moved as f64 / (self.mib << 20) as f64 - 1.0;
        line(
            &format!("a quota of {} MiB over {} gateways", self.mib, self.size.gateways),
            format_args!("{:.1} MiB were moved: {:+.2} %", moved as f64 / f64::from(1 << 20), over * 100.0),
        );
        Ok(())
    }
}

/// Gateways are killed one by one while nodes turn bad and good.
#[derive(Clone, Debug, clap::Args)]
pub struct ChaosRun {
    #[command(flatten)]
    size: Size,
    /// The share of bad nodes, in per cent.
    #[arg(long, default_value_t = 40)]
    bad: usize,
    /// Requests a second through the balancer.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Between a kill and the return of a gateway, and before the next kill, in seconds.
    #[arg(long, default_value_t = 15)]
    rest: u64,
}

impl ChaosRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut arena = Arena::start(&self.size).await?;
        let balancer = arena.cluster.spray(&self.size.haproxy, &arena.gateways)?;
        let rest = Duration::from_secs(self.rest);
        let time = rest * u32::try_from(2 * self.size.gateways + 1)?;
        let load = Load::at_rate(balancer.address, self.rate, time, LIMIT, arena.world.root());
        let load = tokio::spawn(async move { chaos::run(&load).await });
        let (began, mut kills) = (Instant::now(), Vec::new());
        for turn in 0..self.size.gateways {
            self.turn(&arena, turn).await?;
            sleep(rest).await;
            kills.push(began.elapsed());
            let gateway = arena.gateways.get_mut(turn).context("no gateway")?;
            gateway.kill();
            sleep(rest).await;
            gateway.start_again()?;
        }
        let shots = load.await??;
        let is_inside = |at: Duration, took: Duration| {
            kills.iter().any(|kill| at <= *kill + Duration::from_secs(1) && at + took >= *kill)
        };
        let inside = shots.iter().filter(|shot| shot.result.is_err() && is_inside(shot.at, shot.took)).count();
        let tally = Tally::of(&shots);
        line(
            &format!("{} % bad nodes, {} gateways killed one by one", self.bad, self.size.gateways),
            format_args!(
                "{:.2} % of {} requests answered; {inside} of {} failures were under way at a kill",
                tally.share(),
                tally.all,
                tally.all - tally.right
            ),
        );
        let reasons: BTreeMap<String, usize> = tally.wrong;
        reasons.iter().for_each(|(reason, count)| line("  a failure", format_args!("{count} times {reason}")));
        Ok(())
    }

    /// Other nodes are bad each time.
    async fn turn(&self, arena: &Arena, turn: usize) -> anyhow::Result<()> {
        let faults = [Fault::Refused, Fault::Mute, Fault::Reset, Fault::AcceptThenClose];
        for index in 0..self.size.live {
            let is_bad = (index + turn * self.bad) % 100 < self.bad;
            let fault = faults.get(index % faults.len()).copied().filter(|_| is_bad).unwrap_or_default();
            arena.world.set_fault(index, fault).await?;
        }
        Ok(())
    }
}
