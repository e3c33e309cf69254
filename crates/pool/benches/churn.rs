//! What picks cost while 5,000 of 20,000 nodes go and 5,000 others come every second, for a minute.
//!
//! Prints the quantiles of single picks, the longest change and the processor time. `HEZAR_CHURN_SECONDS` shortens it.
//! One thread picks, one changes; beside it the same picks are measured over a pool that stands still.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use hezar_core::{Label, NodeId, NodeSpec, Outbound, SocksProxy, SocksVersion, Target, Timestamp};
use hezar_pool::{Exit, Origin, Outcome, Pool, PoolChange, Query, Rules, SiteKey, Strategy, Success};

type Nodes = Pool<Arc<str>>;

/// Nodes in the pool, and how many of them go every second.
const ALL: u32 = 20_000;
const MOVED: u32 = 5_000;

fn spec(n: u32) -> NodeSpec {
    let [_, b, c, d] = n.to_be_bytes();
    let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
    let server = Target::parse(&format!("11.{b}.{c}.{d}:1080")).unwrap_or_else(|_| unreachable!());
    NodeSpec::new(server, Outbound::Socks(socks))
}

fn list(pool: &Nodes, nodes: std::ops::Range<u32>, now: Timestamp) -> Vec<NodeId> {
    let nodes: Vec<_> = nodes.map(|n| (n, spec(n))).collect();
    let ids: Vec<_> = nodes.iter().map(|(n, spec)| (*n, spec.id())).collect();
    let nodes = nodes.into_iter().map(|(_, spec)| (spec, Label::default())).collect();
    pool.apply(PoolChange::List { source: "churn".into(), allow_private: false, nodes, complete: false }, now);
    for (n, id) in &ids {
        // Three nodes behind every exit.
        let exit = Some(Exit { ip: (0x0900_0000 + n / 3).to_be_bytes().into(), country: Some(*b"DE") });
        let success = Success { latency: Duration::from_millis(u64::from(50 + n % 500)), exit };
        pool.report(*id, &Outcome { origin: Origin::Probe, result: Ok(success) }, now);
    }
    ids.into_iter().map(|(_, id)| id).collect()
}

/// Picks until told to stop; the nanoseconds of every pick, sorted.
fn picks(pool: &Nodes, stop: &AtomicBool) -> Vec<u32> {
    let strategies = [Strategy::Smart, Strategy::RoundRobin, Strategy::Random, Strategy::LeastLatency];
    let (mut took, mut rng) = (Vec::with_capacity(1 << 22), 0_u64);
    while !stop.load(Relaxed) {
        for strategy in strategies {
            rng = rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let site = Some(SiteKey(rng >> 50));
            let begun = Instant::now();
            let lease = black_box(pool.pick(&Query { strategy, site, ..Query::default() }, rng));
            took.push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
            assert!(lease.is_some(), "there is always a node");
        }
        // An arrival rate that leaves the processor to others: some 20,000 picks a second.
        thread::sleep(Duration::from_micros(150));
    }
    took.sort_unstable();
    took
}

fn print(what: &str, took: &[u32]) {
    let quantile = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!(
        "{what}: {} picks, p50 {} ns, p99 {} ns, p99.9 {} ns, longest {} µs",
        took.len(),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        took.last().copied().unwrap_or_default() / 1000
    );
}

/// Processor time of this process in ticks of 10 ms; 0 where that is not known.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.get(11..13).map_or(0, |times| times.iter().filter_map(|time| time.parse::<u64>().ok()).sum())
}

fn main() {
    let seconds = std::env::var("HEZAR_CHURN_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60_u32);
    let pool = Nodes::new(Rules::default());
    let mut ids: Vec<_> = list(&pool, 0..ALL, Timestamp(1_000_000));
    let stop = AtomicBool::new(false);
    let still = thread::scope(|scope| {
        let picking = scope.spawn(|| picks(&pool, &stop));
        thread::sleep(Duration::from_secs(u64::from(seconds.min(10))));
        stop.store(true, Relaxed);
        picking.join().unwrap_or_default()
    });
    print("placement still", &still);
    stop.store(false, Relaxed);
    let (begun, before) = (Instant::now(), ticks());
    let (mut longest, mut changing) = (Duration::ZERO, Duration::ZERO);
    let moving = thread::scope(|scope| {
        let picking = scope.spawn(|| picks(&pool, &stop));
        for second in 0..seconds {
            let change = Instant::now();
            let first = ALL + second * MOVED;
            let now = Timestamp(1_000_000 + u64::from(second) * 1000);
            let added = list(&pool, first..first + MOVED, now);
            let old: Vec<_> = ids.drain(..MOVED as usize).collect();
            pool.apply(PoolChange::Remove(old), now);
            ids.extend(added);
            longest = longest.max(change.elapsed());
            changing += change.elapsed();
            thread::sleep(Duration::from_secs(1).saturating_sub(change.elapsed()));
        }
        stop.store(true, Relaxed);
        picking.join().unwrap_or_default()
    });
    print("5,000 of 20,000 exchanged every second", &moving);
    let share = (ticks() - before) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "changes: {:.0} ms a second on average, longest {} ms; processor {share:.0} % of one core, picks included",
        changing.as_secs_f64() * 1000.0 / f64::from(seconds.max(1)),
        longest.as_millis()
    );
    assert_eq!(pool.snapshot().counts().healthy, ALL as usize);
}
