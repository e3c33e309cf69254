//! Very many nodes: how long a gateway takes to load them, and what a verdict a minute for each costs the database and delays changes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use hezar_core::{NodeId, Record, Secret, State, Timestamp};
use hezar_lab::cluster::{Cluster, Member};
use hezar_store::{Access, Change, NodeRow, SourceRow, Store};
use tokio::{task::JoinSet, time::sleep};

use super::{line, memory_mib, server_cost::ServerCost};
use crate::percentile;

/// Changes in one transaction, as the write-behind queue has them.
const BATCH: usize = 2000;
/// The name of the source that lists all nodes.
const SOURCE: &str = "list";

/// Very many nodes whose verdicts are made up, because no machine has as many servers.
#[derive(Clone, Debug, clap::Args)]
pub struct MillionRun {
    /// How many nodes.
    #[arg(long, default_value_t = 1_000_000)]
    nodes: u32,
    /// How many of them work, in per cent; each of these gets a verdict an interval.
    #[arg(long, default_value_t = 20)]
    living: u32,
    /// The interval, in seconds.
    #[arg(long, default_value_t = 60)]
    interval: u64,
    /// How long verdicts are written, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many writers there are: probers with this share of the nodes each.
    #[arg(long, default_value_t = 3)]
    writers: u64,
    /// How many gateways follow.
    #[arg(long, default_value_t = 1)]
    gateways: usize,
    /// The cache of the database in MiB, with as large a write-ahead log as an operator gives a database of this size; 0 = as installed.
    #[arg(long, default_value_t = 1024)]
    shared_buffers: u32,
}

impl MillionRun {
    /// Measures and prints.
    ///
    /// # Errors
    /// Something does not start, or a change is never seen.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut cluster = Cluster::open("cluster", &crate::hezar()?)?.context("PostgreSQL is not installed")?;
        self.tune(&mut cluster)?;
        let store = open(&cluster).await?;
        let began = Instant::now();
        self.fill(&*store).await?;
        line(&format!("{} nodes are written", self.nodes), format_args!("{:.1} s", began.elapsed().as_secs_f64()));
        line("size of the store on the disk", format_args!("{} MiB", ServerCost::now(&cluster)?.disk_mib));
        let mut gateways = Vec::new();
        for number in 1..=self.gateways {
            let began = Instant::now();
            let gateway = cluster.member(&format!("gateway-{number}"), "gateway,api")?;
            while !gateway.is_ready() {
                ensure!(began.elapsed() < Duration::from_secs(600), "it never serves: {}", gateway.log());
                sleep(Duration::from_millis(50)).await;
            }
            let took = began.elapsed().as_secs_f64();
            let (peak, _) = memory_mib(gateway.pid().context("it has ended")?);
            line(
                &format!("{} serves", gateway.name),
                format_args!("{took:.1} s after its start, with at most {peak} MiB"),
            );
            gateways.push(gateway);
        }
        self.verdicts(&cluster, &gateways).await
    }

    /// Gives the database the memory and the log that the run asks for.
    fn tune(&self, cluster: &mut Cluster) -> anyhow::Result<()> {
        if self.shared_buffers == 0 {
            return Ok(());
        }
        let buffers = format!("shared_buffers = '{}MB'", self.shared_buffers);
        for setting in [buffers.as_str(), "max_wal_size = '8GB'", "wal_level = 'replica'"] {
            cluster.sql(&format!("ALTER SYSTEM SET {setting}"))?;
        }
        Ok(cluster.server.start()?)
    }

    /// Puts all nodes into the store, as a fetcher and probers would.
    async fn fill(&self, store: &dyn Store) -> anyhow::Result<()> {
        store.write(&[Change::PutSource(SourceRow::new(SOURCE, "file"))]).await?;
        let now = now();
        for first in (0..self.nodes).step_by(BATCH) {
            let numbers = first..(first + BATCH as u32).min(self.nodes);
            let mut changes: Vec<Change> =
                numbers.clone().map(|number| Change::PutNode(self.row(number, now))).collect();
            let ids = numbers.map(node).collect();
            changes.push(Change::SetListing { source: SOURCE.into(), ids, complete: false });
            store.write(&changes).await?;
        }
        Ok(())
    }

    fn row(&self, number: u32, now: Timestamp) -> NodeRow {
        NodeRow {
            id: node(number),
            uri: Secret::new(link(number)),
            label: format!("node {number}").into(),
            kept_from: None,
            unreadable_since: None,
            record: self.record(number, now),
        }
    }

    fn is_living(&self, number: u32) -> bool {
        number % 100 < self.living
    }

    fn record(&self, number: u32, now: Timestamp) -> Record {
        let works = self.is_living(number);
        Record {
            state: if works { State::Healthy } else { State::Dead },
            failures: u32::from(!works) * 3,
            first_seen: now,
            last_ok: works.then_some(now),
            last_checked: Some(now),
            dead_since: (!works).then_some(now),
            latency: works.then(|| Duration::from_millis(u64::from(number % 900) + 20)),
            exit_ip: works.then(|| std::net::Ipv4Addr::from((11 << 24) + number % 4_000_000).into()),
            exit_seen: works.then_some(now),
            country: works.then_some(*b"DE"),
            ..Record::default()
        }
    }

    /// Writes verdicts as fast as probers would, and measures what that costs.
    async fn verdicts(&self, cluster: &Cluster, gateways: &[Member]) -> anyhow::Result<()> {
        let (end, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let living: Vec<u32> = (0..self.nodes).filter(|number| self.is_living(*number)).collect();
        let wanted = living.len() as f64 / self.interval as f64;
        let share = living.len().div_ceil(usize::try_from(self.writers)?);
        let mut running = JoinSet::new();
        let (before, began) = (ServerCost::now(cluster)?, Instant::now());
        let cpu_before: Vec<_> = gateways.iter().map(gateway_cpu).collect();
        for own in living.chunks(share.max(1)) {
            let (own, store, run) = (own.to_vec(), open(cluster).await?, self.clone());
            let (end, written) = (Arc::clone(&end), Arc::clone(&written));
            running.spawn(async move { run.write(&own, &*store, &end, &written).await });
        }
        let mut lags = Vec::new();
        while began.elapsed() < Duration::from_secs(self.seconds) {
            lags.extend(lag(cluster, gateways, lags.len()).await?);
            sleep(Duration::from_millis(500)).await;
        }
        end.store(true, Ordering::Relaxed);
        let (after, took) = (ServerCost::now(cluster)?, began.elapsed().as_secs_f64());
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        let rate = written.load(Ordering::Relaxed) as f64 / took;
        line(
            "verdicts a second",
            format_args!("{rate:.0} written, {wanted:.0} wanted (one an interval for {} nodes)", living.len()),
        );
        let transactions = after.transactions.saturating_sub(before.transactions) as f64 / took;
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() / took;
        line(
            "PostgreSQL",
            format_args!(
                "{transactions:.0} transactions a second, {cpu:.2} cores, {} MiB of memory, {} MiB on the disk",
                after.memory_mib, after.disk_mib
            ),
        );
        for (gateway, before) in gateways.iter().zip(cpu_before) {
            let cpu = gateway_cpu(gateway).saturating_sub(before).as_secs_f64() / took;
            let (_, now) = memory_mib(gateway.pid().unwrap_or(0));
            line(&gateway.name, format_args!("{cpu:.2} cores to follow, {now} MiB of memory"));
        }
        lags.sort_unstable();
        line(
            "a change is seen",
            format_args!(
                "after p50 {:.0} ms, p99 {:.0} ms ({})",
                percentile(&lags, 0.5),
                percentile(&lags, 0.99),
                lags.len()
            ),
        );
        Ok(())
    }

    /// The verdicts of one prober: each of its nodes once an interval.
    async fn write(&self, own: &[u32], store: &dyn Store, end: &AtomicBool, written: &AtomicU64) -> anyhow::Result<()> {
        let batches: Vec<&[u32]> = own.chunks(BATCH).collect();
        let pause = Duration::from_secs(self.interval).div_f64(batches.len().max(1) as f64);
        let mut next = tokio::time::Instant::now();
        for batch in batches.iter().cycle() {
            if end.load(Ordering::Relaxed) {
                break;
            }
            let now = now();
            let changes: Vec<Change> =
                batch.iter().map(|number| Change::PutRecord(node(*number), self.record(*number, now))).collect();
            store.write(&changes).await?;
            written.fetch_add(batch.len() as u64, Ordering::Relaxed);
            next += pause;
            tokio::time::sleep_until(next).await;
        }
        Ok(())
    }
}

/// Lets one node of its own become what it was not, and measures when each gateway sees it.
async fn lag(cluster: &Cluster, gateways: &[Member], turn: usize) -> anyhow::Result<Vec<Duration>> {
    let (store, number) = (open(cluster).await?, u32::MAX);
    let now = now();
    let state = if (turn / gateways.len().max(1)).is_multiple_of(2) { State::Healthy } else { State::Dead };
    let record = Record { state, last_checked: Some(now), last_ok: Some(now), first_seen: now, ..Record::default() };
    let row = NodeRow {
        id: node(number),
        uri: Secret::new(link(number)),
        label: "seen".into(),
        kept_from: None,
        unreadable_since: None,
        record,
    };
    store.write(&[Change::PutNode(row), Change::ListNode { id: node(number), sources: vec![SOURCE.into()] }]).await?;
    let (began, id) = (Instant::now(), node(number).to_string());
    let mut times = Vec::new();
    for gateway in gateways {
        while gateway.state(&id).as_deref() != Some(state.name()) {
            ensure!(began.elapsed() < Duration::from_secs(120), "{} does not see a change", gateway.name);
            sleep(Duration::from_millis(5)).await;
        }
        times.push(began.elapsed());
    }
    store.close().await;
    Ok(times)
}

async fn open(cluster: &Cluster) -> anyhow::Result<Arc<dyn Store>> {
    Ok(hezar_store::open(&cluster.store, &std::env::temp_dir(), Access::Exclusive).await?)
}

fn gateway_cpu(gateway: &Member) -> Duration {
    gateway.pid().map_or(Duration::ZERO, super::server_cost::cpu_of)
}

fn link(number: u32) -> String {
    format!("trojan://password-of-node-{number}@n{number}.example.test:443?sni=n{number}.example.test#node%20{number}")
}

fn node(number: u32) -> NodeId {
    // Every number gives a link that can be read.
    hezar_formats::parse_link(&link(number)).map_or(NodeId::from_bytes([0; 16]), |(spec, _)| spec.id())
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
