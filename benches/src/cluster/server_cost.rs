//! What PostgreSQL costs: its processes' CPU time and memory, its transactions, and its size on the disk.

use std::{fs, time::Duration};

use anyhow::Context;
use hezar_lab::cluster::Cluster;

/// Linux counts in hundredths of a second towards programs, on every architecture.
const MS_PER_TICK: u64 = 10;

/// What the server has used so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerCost {
    /// Of all its processes that live now.
    pub(super) cpu: Duration,
    /// The proportional memory of all its processes, in MiB.
    pub(super) memory_mib: u64,
    /// Transactions that were committed in the store.
    pub(super) transactions: u64,
    /// The size of the store on the disk, in MiB.
    pub(super) disk_mib: u64,
}

impl ServerCost {
    pub(super) fn now(cluster: &Cluster) -> anyhow::Result<Self> {
        let first = cluster.server.pid().context("the database does not run")?;
        let (mut cpu, mut memory_kib) = (Duration::ZERO, 0);
        for pid in processes(first) {
            cpu += cpu_of(pid);
            memory_kib += proportional_kib(pid);
        }
        let number = |sql: &str| -> anyhow::Result<u64> { Ok(cluster.sql(sql)?.parse()?) };
        Ok(Self {
            cpu,
            memory_mib: memory_kib / 1024,
            transactions: number("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")?,
            disk_mib: number("SELECT pg_database_size(current_database()) / 1048576")?,
        })
    }
}

/// A process and its children.
fn processes(first: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
    std::iter::once(first).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
}

pub(super) fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in front may hold spaces. `utime`, `stime`, and the same of children that have ended, are the 12th to 15th field behind it.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(4);
    Duration::from_millis(fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * MS_PER_TICK)
}

fn proportional_kib(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
