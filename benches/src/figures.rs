//! What is measured of each program on a row of a comparison, and the table of it.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    Watched,
    load::{self, Way},
    median, percentile,
    site::Verb,
};

/// Requests that warm a program up.
const WARM: usize = 50;
/// Tunnels opened at the same time.
const AT_ONCE: usize = 16;
/// Streams of a transfer.
const STREAMS: u64 = 4;
/// What a program gets to come to rest.
const REST: Duration = Duration::from_secs(2);

/// The samples of a row, by the place of the program in the table; that of the measured program is 0.
pub type Samples = BTreeMap<usize, Vec<Sample>>;

/// What one run of one program on one row gave.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// µs of CPU per new tunnel.
    pub tunnel: f64,
    /// s of CPU per GiB, half of it down and half of it up.
    pub gib: f64,
    /// ms that half of the requests did not exceed, over the whole way.
    pub p50: f64,
    /// ms that all but one in a hundred did not exceed.
    pub p99: f64,
    /// KiB per idle tunnel, proportional set; not a number where they did not all stay open.
    pub idle: f64,
    /// Tunnels that did not open at the first try.
    pub failed: f64,
}

type Column = fn(&Sample) -> f64;

const COLUMNS: [(&str, Column); 6] = [
    ("CPU µs/tunnel", |sample| sample.tunnel),
    ("CPU s/GiB", |sample| sample.gib),
    ("p50 ms", |sample| sample.p50),
    ("p99 ms", |sample| sample.p99),
    ("KiB/idle", |sample| sample.idle),
    ("failed", |sample| sample.failed),
];

impl Sample {
    /// What a program does for so many requests, one after the other, so many tunnels and so many MiB each way. Idle tunnels are not
    /// among it.
    ///
    /// # Errors
    /// When the way fails.
    pub async fn of_traffic(
        process: &Watched,
        way: &Way,
        requests: usize,
        tunnels: usize,
        mib: u64,
    ) -> anyhow::Result<Self> {
        let times = load::latencies(way, requests).await?;

        let before = process.cpu();
        load::tunnels(way, tunnels, AT_ONCE, false).await?;
        let tunnel = (process.cpu() - before).as_secs_f64() * 1e6 / tunnels as f64;

        let before = process.cpu();
        load::transfer(way, mib << 20, STREAMS).await?;
        let gib = (process.cpu() - before).as_secs_f64() * 1024.0 / (2 * mib) as f64;
        let (p50, p99) = (percentile(&times, 0.50), percentile(&times, 0.99));
        Ok(Self { tunnel, gib, p50, p99, idle: f64::NAN, failed: way.failed() as f64 })
    }
}

/// KiB that a program needs for each of so many idle tunnels. It should have carried nothing else before: what a transfer leaves behind
/// would hide that.
///
/// # Errors
/// When they do not all stay open.
pub async fn idle_kib(process: &Watched, way: &Way, tunnels: usize) -> anyhow::Result<f64> {
    sleep(REST).await;
    let before = process.proportional_kib()?;
    let open = load::tunnels(way, tunnels, AT_ONCE, true).await?;
    sleep(REST).await;
    Ok((process.proportional_kib()? as f64 - before as f64) / open.len() as f64)
}

/// Waits until a way opens, and warms up what is on it.
///
/// # Errors
/// When it does not open in time.
pub async fn warm_up(way: &Way, longest: Duration) -> anyhow::Result<()> {
    wait_until_open(way, longest).await?;
    load::tunnels(way, WARM, AT_ONCE, false).await.map(drop)
}

/// Waits until a way opens: a program that accepts may not have read its list, or not have checked its nodes yet.
///
/// # Errors
/// When it does not open in time.
pub async fn wait_until_open(way: &Way, longest: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    while let Err(error) = way.open(Verb::Echo).await {
        if begun.elapsed() > longest {
            return Err(error);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The runs of a row: for each turn the number of the run and the place of the program, so that no program is always the first.
pub fn turns(runs: usize, programs: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..runs).flat_map(move |run| (0..programs).map(move |turn| (run, (run + turn) % programs)))
}

/// A row as text: the medians of each program that has samples, under the name at its place, and ours beside those of the others. The
/// program at the place `other_build` is no peer, and gets a column of its own.
#[must_use]
pub fn table(row: &str, names: &[&str], samples: &Samples, other_build: Option<usize>) -> String {
    let mut text = format!("\n{row:22}");
    for name in samples.keys().filter_map(|place| names.get(*place)) {
        text += &format!("{name:>12}");
    }
    let other_build = other_build.filter(|place| samples.contains_key(place));
    if other_build.is_some() {
        text += &format!("{:>18}", "ours/other build");
    }
    text += &format!("{:>20}", "ours/better peer");
    for (name, column) in COLUMNS {
        let medians: BTreeMap<usize, f64> = samples
            .iter()
            .map(|(place, runs)| (*place, median(&mut runs.iter().map(column).collect::<Vec<_>>())))
            .collect();
        text += &format!("\n  {name:20}");
        for value in medians.values() {
            text += &if value.is_nan() { format!("{:>12}", "–") } else { format!("{value:>12.2}") };
        }
        let of = |place: usize| medians.get(&place).copied().unwrap_or(f64::NAN);
        if let Some(other) = other_build {
            text += &format!("{:>18}", ratio(of(0), of(other)));
        }
        let peers = medians.iter().filter(|(place, _)| **place != 0 && Some(**place) != other_build);
        let better = peers.map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        text += &format!("{:>20}", ratio(of(0), better));
    }
    text
}

/// One figure as a multiple of another; a dash where there is nothing to compare with: nobody went through, or nothing was lost.
fn ratio(ours: f64, other: f64) -> String {
    if ours.is_finite() && other.is_finite() && other > 0.0 { format!("{:.2}", ours / other) } else { "–".to_owned() }
}
