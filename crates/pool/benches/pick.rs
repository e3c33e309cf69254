//! What a pick costs at 100 to 1,000,000 nodes, and what changes cost beside it.
//!
//! The resident memory of 1,000,000 nodes is printed first (Linux only). `HEZAR_PICK_NODES` (such as `1000000`) measures one number of
//! nodes only, and neither the memory nor the changes.

use std::{
    hint::black_box,
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime};
use hezar_core::{Label, NodeId, NodeSpec, Outbound, Secret, Shadowsocks, Target, Timestamp};
use hezar_pool::{
    Atlas, Bounds, CityKey, Exit, Origin, Outcome, Pool, PoolChange, Query, Rules, SessionKey, SiteKey, Strategy,
    Success,
};

type Nodes = Pool<Arc<str>>;

fn spec(n: u32) -> NodeSpec {
    let [_, b, c, d] = n.to_be_bytes();
    let settings = Shadowsocks {
        method: "chacha20-ietf-poly1305".into(),
        password: Secret::new(format!("password-{n:08}")),
        plugin: None,
        udp_over_tcp: false,
    };
    let server = Target::parse(&format!("11.{b}.{c}.{d}:8388")).unwrap_or_else(|_| unreachable!());
    NodeSpec::new(server, Outbound::Shadowsocks(settings))
}

fn listing(count: u32) -> PoolChange {
    let nodes = (0..count).map(|n| (spec(n), Label::new(&format!("node number {n}")))).collect();
    PoolChange::List { source: "bench".into(), allow_private: false, nodes, complete: true }
}

fn outcome(n: u32) -> Outcome {
    let country = [*b"DE", *b"US", *b"NL", *b"JP"][n as usize % 4];
    let exit = Some(Exit { ip: n.to_be_bytes().into(), country: Some(country) });
    let latency = Duration::from_micros(20_000 + u64::from(n.wrapping_mul(2_654_435_761) % 900_000));
    Outcome { origin: Origin::Probe, result: Ok(Success { latency, exit }) }
}

fn healthy(count: u32) -> (Nodes, Vec<NodeId>) {
    let bounds = Bounds { per_source: count as usize, ..Bounds::default() };
    let pool = Nodes::new(Rules { bounds, ..Rules::default() });
    pool.apply(listing(count), Timestamp(1_000_000));
    let ids: Vec<_> = (0..count).map(|n| spec(n).id()).collect();
    for (n, id) in (0..count).zip(&ids) {
        pool.report(*id, &outcome(n), Timestamp(1_001_000));
    }
    (pool, ids)
}

/// Resident memory of this process in KiB; 0 where that is not known.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The only number of nodes that is measured, if one is given.
fn given() -> Option<u32> {
    std::env::var("HEZAR_PICK_NODES").ok()?.parse().ok()
}

fn memory(_: &mut Criterion) {
    if given().is_some() {
        return;
    }
    let before = resident();
    let (pool, ids) = healthy(1_000_000);
    drop(ids);
    let after = resident();
    eprintln!("1,000,000 healthy nodes: {} MiB resident", (after.saturating_sub(before)) / 1024);
    assert_eq!(pool.snapshot().counts().healthy, 1_000_000);
}

fn picks(c: &mut Criterion) {
    for count in given().map_or_else(|| vec![100, 10_000, 100_000, 1_000_000], |count| vec![count]) {
        let (pool, _) = healthy(count);
        quantiles(&pool, count);
        let mut group = c.benchmark_group("pick");
        for strategy in Strategy::ALL {
            let mut rng = 0_u64;
            group.bench_with_input(BenchmarkId::new(strategy.name(), count), &strategy, |b, strategy| {
                b.iter(|| {
                    rng = rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let site = Some(SiteKey(rng >> 50));
                    let session = (*strategy == Strategy::Sticky).then_some(SessionKey(rng >> 50));
                    let query = Query { strategy: *strategy, site, session, ..Query::default() };
                    black_box(pool.pick(&query, rng))
                });
            });
        }
        rare(&mut group, &pool, count);
        group.finish();
    }
}

/// Prints the quantiles of single picks, which the mean of many does not show.
fn quantiles(pool: &Nodes, count: u32) {
    let mut rng = 0_u64;
    let mut took: Vec<u128> = (0..200_000)
        .map(|_| {
            rng = rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let query = Query { site: Some(SiteKey(rng >> 50)), ..Query::default() };
            let begun = Instant::now();
            black_box(pool.pick(&query, rng));
            begun.elapsed().as_nanos()
        })
        .collect();
    took.sort_unstable();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    eprintln!("smart at {count}: p50 {} ns, p99 {} ns, p99.9 {} ns", at(0.5), at(0.99), at(0.999));
}

/// An atlas in which about ten nodes lie in network 1, and all others in network 2.
#[derive(Debug)]
struct FewInOne(u32);

impl Atlas for FewInOne {
    fn asn(&self, ip: IpAddr) -> Option<NonZeroU32> {
        let IpAddr::V4(ip) = ip else { return None };
        NonZeroU32::new(if u32::from(ip).is_multiple_of((self.0 / 10).max(1)) { 1 } else { 2 })
    }

    fn city(&self, _: IpAddr) -> Option<CityKey> {
        None
    }

    fn knows_asn(&self) -> bool {
        true
    }

    fn knows_city(&self) -> bool {
        false
    }
}

/// Picks for which about ten nodes fit, and none.
fn rare(group: &mut BenchmarkGroup<'_, WallTime>, pool: &Nodes, count: u32) {
    pool.set_atlas(Some(Arc::new(FewInOne(count))));
    group.sample_size(10);
    for (name, asn) in [("ten fit", 1), ("none fits", 3)] {
        let mut rng = 0_u64;
        let query = Query { asn: NonZeroU32::new(asn), site: Some(SiteKey(1)), ..Query::default() };
        group.bench_function(BenchmarkId::new(name, count), |b| {
            b.iter(|| {
                rng = rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
                black_box(pool.pick(&query, rng))
            });
        });
    }
    pool.set_atlas(None);
}

fn changes(c: &mut Criterion) {
    if given().is_some() {
        return;
    }
    let mut group = c.benchmark_group("change at 100000");
    let (pool, ids) = healthy(100_000);
    let bad = Outcome::failure(Origin::Probe, hezar_core::Fault::Node, hezar_core::Stage::Connect, "refused");
    let mut step = 0_u32;
    group.bench_function("report, same state", |b| {
        b.iter(|| {
            step = step.wrapping_add(1);
            let n = step.wrapping_mul(7919) % 100_000;
            pool.report(ids[n as usize], &outcome(n), Timestamp(1_002_000));
        });
    });
    group.bench_function("report, state changes", |b| {
        b.iter(|| {
            step = step.wrapping_add(1);
            let n = (step / 2).wrapping_mul(7919) % 100_000;
            let outcome = if step.is_multiple_of(2) { bad } else { outcome(n) };
            pool.report(ids[n as usize], &outcome, Timestamp(1_003_000));
        });
    });
    group.sample_size(10);
    let listed = listing(100_000);
    group.bench_function("list the same again", |b| {
        b.iter(|| pool.apply(listed.clone(), Timestamp(1_004_000)));
    });
    group.bench_function("list into an empty pool", |b| {
        b.iter(|| {
            let pool = Nodes::new(Rules::default());
            pool.apply(listed.clone(), Timestamp(1_004_000));
            pool
        });
    });
    group.finish();
}

criterion_group!(benches, memory, picks, changes);
criterion_main!(benches);
