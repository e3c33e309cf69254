//! One host is not probed faster than it may be, and hardly at all while nothing there answers.

use hezar_core::ServerKey;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{HostResponse, Intervals, NodeHealth, ProbeEnd, Schedule};
use hezar_pool::State;

/// A node on one of the ports of a host.
fn port(host: u8, port: u16) -> NodeSpec {
    let mut spec = spec(0);
    spec.server = Target::parse(&format!("11.7.7.{host}:{port}")).unwrap();
    spec
}

fn list_host(pool: &Nodes, host: u8, ports: std::ops::Range<u16>) {
    let nodes = ports.map(|number| (port(host, number), Label::default())).collect();
    let source = format!("host {host}").as_str().into();
    pool.apply(PoolChange::List { source, allow_private: false, nodes, complete: true }, START);
}

fn probes_of(world: &World, host: u8) -> usize {
    let prefix = format!("11.7.7.{host}:");
    world.order.lock().iter().filter(|server| server.starts_with(&prefix)).count()
}

async fn watch(pool: &Arc<Nodes>, world: &Arc<World>, seconds: u64) {
    let (cancel, prober) = (CancellationToken::new(), prober(ProbeConfig::new(config().url), pool, world, false));
    let stop = cancel.clone();
    let task = tokio::spawn(async move { prober.run(stop).await });
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    cancel.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_list_of_all_ports_of_a_host_makes_no_scanner_of_us() {
    let (world, pool) = (World::new(WORKS), pool((1..20).map(|n| n * 256)));
    list_host(&pool, 1, 1..6001);
    (1..6001).for_each(|number| {
        world.ways.lock().insert(port(1, number).server.to_string(), Way::Unreached);
    });
    watch(&pool, &world, 8).await;
    let first = probes_of(&world, 1);
    assert!((16..=32).contains(&first), "{first} connections in eight seconds");
    assert_eq!(pool.snapshot().counts().healthy, 19, "the others do not wait for it");
    let (world, pool) = (World::new(Way::Unreached), self::pool([]));
    list_host(&pool, 1, 1..6001);
    watch(&pool, &world, 3600).await;
    let hour = probes_of(&world, 1);
    assert!((60..300).contains(&hour), "{hour} connections in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_answers_is_probed_at_its_rate() {
    // Thousands of nodes behind one address of a content network: most are refused by what answers there.
    let (world, pool) = (World::new(Way::Refuses), pool([]));
    list_host(&pool, 2, 1..1001);
    (1..51).for_each(|number| {
        world.ways.lock().insert(port(2, number * 20).server.to_string(), WORKS);
    });
    watch(&pool, &world, 80).await;
    let probes = probes_of(&world, 2);
    assert!((1000..=16 * 80 + 8).contains(&probes), "{probes}");
    assert_eq!(pool.snapshot().counts().healthy, 50);
}

fn schedule(nodes: u32) -> Schedule {
    let mut schedule = Schedule::new(Intervals {
        interval: Duration::from_secs(60),
        suspect: Duration::from_secs(10),
        dead_most: Duration::from_secs(1800),
        jitter: 0.0,
        per_host: 8,
        per_host_per_second: 16,
        dead_after: 3,
    });
    let health = NodeHealth {
        server: Some(ServerKey(1)),
        state: State::New,
        failures: 0,
        ever_worked: false,
        last_checked: None,
    };
    (0..nodes).for_each(|n| schedule.upsert(id(n), health, at(0), 0));
    schedule
}

/// Starts and ends everything that may start until a time; returns how many that were.
fn pass(schedule: &mut Schedule, from: Timestamp, until: Timestamp, answer: HostResponse) -> usize {
    let (mut now, mut count) = (from, 0);
    while now <= until {
        while let Some(id) = schedule.next(now) {
            schedule.note_answer(id, answer);
            schedule.finish(id, ProbeEnd::Decided(State::New, 1), now, 0);
            count += 1;
        }
        now = schedule.due(now).unwrap().max(now.after(Duration::from_millis(1)));
    }
    count
}

#[test]
fn silence_slows_down_and_an_answer_settles_it() {
    let mut schedule = schedule(5000);
    let silent = pass(&mut schedule, at(0), at(600), HostResponse::Silent);
    assert!((30..120).contains(&silent), "{silent}");
    // It comes back: after the next probe everything goes at the usual rate again.
    assert_eq!(pass(&mut schedule, at(601), at(661), HostResponse::Works).min(500), 500);
    let rate = pass(&mut schedule, at(662), at(672), HostResponse::Works);
    assert!((150..=170).contains(&rate), "{rate} in ten seconds");
    assert_eq!(schedule.running(), 0);
}

#[test]
fn who_is_asked_for_does_not_wait_behind_the_others_of_its_host() {
    let mut schedule = schedule(1000);
    let first: Vec<_> = std::iter::from_fn(|| schedule.next(at(0))).collect();
    let late = (0..1000).map(id).find(|id| !first.contains(id)).unwrap();
    let last = (0..1000).rev().map(id).find(|id| !first.contains(id) && *id != late).unwrap();
    assert!(schedule.demand(last, at(0)));
    assert_eq!(schedule.next(at(0)), None);
    assert_eq!(schedule.next(at(1)), Some(last));
}
