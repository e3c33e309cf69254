//! The prober at work, in paused time.

use hezar_core::Fault;
use hezar_pool::{Counts, Origin, Outcome, State};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::Progress;

struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

fn run(prober: Prober) -> Running {
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    Running { cancel, task: tokio::spawn(async move { prober.run(stop).await }) }
}

impl Running {
    async fn end(self, world: &World) {
        self.cancel.cancel();
        self.task.await.unwrap();
        assert_eq!(world.running.load(Relaxed), 0, "no probe outlives the prober");
    }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

fn counts(pool: &Nodes) -> Counts {
    pool.snapshot().counts()
}

fn state(pool: &Nodes, n: u32) -> State {
    pool.node(id(n)).unwrap().state()
}

#[tokio::test(start_paused = true)]
async fn nodes_find_their_states() {
    let world = World::new(WORKS);
    let pool = pool(0..30);
    (10..20).for_each(|n| world.set(n, Way::Refuses));
    (20..30).for_each(|n| world.set(n, Way::Hangs));
    let running = run(prober(config(), &pool, &world, false));
    seconds(1).await;
    assert_eq!(counts(&pool).healthy, 10);
    assert_eq!(pool.node(id(0)).unwrap().latency(), Some(Duration::from_millis(100)));
    seconds(120).await;
    assert_eq!(counts(&pool), Counts { healthy: 10, dead: 20, ..Counts::default() });
    let record = pool.node(id(25)).unwrap().record();
    assert_eq!(record.failure.unwrap().code, "timeout");
    world.set(15, WORKS);
    seconds(600).await;
    assert_eq!(state(&pool, 15), State::Healthy, "the dead are asked again");
    world.set(3, Way::Refuses);
    seconds(120).await;
    assert_eq!(state(&pool, 3), State::Dead);
    running.end(&world).await;
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_pool_are_followed() {
    let world = World::new(WORKS);
    let pool = pool([]);
    let running = run(prober(config(), &pool, &world, false));
    seconds(100).await;
    assert_eq!(world.probes.load(Relaxed), 0);
    list(&pool, 0..5, at(100));
    seconds(1).await;
    assert_eq!(counts(&pool).healthy, 5);
    world.set(2, Way::Hangs);
    seconds(61).await;
    pool.apply(PoolChange::Remove(vec![id(2)]), at(170));
    list(&pool, 0..5, at(170));
    world.set(2, WORKS);
    seconds(2).await;
    assert_eq!(state(&pool, 2), State::Healthy, "removed while it was probed, and probed anew");
    let before = world.probes.load(Relaxed);
    world.set(1, Way::Refuses);
    let failure = Outcome::failure(Origin::Traffic, Fault::Node, Stage::Handshake, "reset");
    pool.report(id(1), &failure, at(173));
    seconds(1).await;
    assert!(world.probes.load(Relaxed) > before, "traffic's doubt is looked into at once");
    running.end(&world).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_dialled_is_marked_and_left_alone() {
    let world = World::new(WORKS);
    let pool = pool(0..3);
    // What a protocol cannot do for one target is no reason never to use the node.
    world.set(1, Way::CannotDial);
    let mut odd = spec(7);
    odd.server = Target::parse("11.0.0.7:9").unwrap();
    let nodes = vec![(odd.clone(), Label::default())];
    pool.apply(PoolChange::List { source: "t".into(), allow_private: false, nodes, complete: true }, START);
    let running = run(prober(config(), &pool, &world, false));
    seconds(1000).await;
    assert_eq!(counts(&pool), Counts { new: 1, healthy: 2, unsupported: 1, ..Counts::default() });
    assert_eq!(pool.node(odd.id()).unwrap().unsupported(), Some("node-unsupported".into()));
    assert_eq!(pool.node(id(1)).unwrap().unsupported(), None);
    world.set(1, WORKS);
    seconds(4000).await;
    assert_eq!(counts(&pool), Counts { healthy: 3, unsupported: 1, ..Counts::default() });
    running.end(&world).await;
}

#[tokio::test(start_paused = true)]
async fn our_own_faults_and_bugs_say_nothing_about_a_node() {
    let world = World::new(WORKS);
    let pool = pool(0..5);
    world.set(0, Way::Exhausted);
    world.set(1, Way::Panics);
    world.set(2, Way::NoTarget);
    world.set(3, Way::Forbidden);
    let running = run(prober(config(), &pool, &world, false));
    seconds(200).await;
    assert_eq!(state(&pool, 0), State::New);
    assert_eq!(state(&pool, 1), State::New);
    assert_eq!(state(&pool, 2), State::Dead, "a node that cannot reach the probe's target is of no use");
    assert_eq!(state(&pool, 3), State::Dead);
    world.set(0, WORKS);
    world.set(1, WORKS);
    seconds(100).await;
    assert_eq!(counts(&pool).healthy, 3);
    running.end(&world).await;
}

#[tokio::test(start_paused = true)]
async fn limits_hold() {
    let world = World::new(Way::Works(Duration::from_secs(1)));
    let pool = pool(0..500);
    let limited = ProbeConfig { concurrency: Some(50), per_second: 20, ..config() };
    let running = run(prober(limited, &pool, &world, false));
    seconds(10).await;
    let probes = world.probes.load(Relaxed);
    assert!((195..=210).contains(&probes), "{probes} in ten seconds");
    running.end(&world).await;
    let (world, pool) = (World::new(Way::Works(Duration::from_secs(1))), self::pool(0..500));
    let running = run(prober(ProbeConfig { concurrency: Some(50), ..config() }, &pool, &world, false));
    seconds(5).await;
    assert_eq!(world.most.load(Relaxed), 50);
    running.end(&world).await;
}

#[tokio::test(start_paused = true)]
async fn exits_are_looked_up_rarely() {
    let world = World::new(WORKS);
    let pool = pool(0..10);
    let traced = ProbeConfig { trace_url: Some(Url::parse("http://trace.test/").unwrap()), ..config() };
    let running = run(prober(traced, &pool, &world, false));
    seconds(600).await;
    assert_eq!(world.traces.load(Relaxed), 10, "once per node");
    assert_eq!(pool.snapshot().countries().collect::<Vec<_>>(), [(*b"DE", 10)]);
    assert!(world.probes.load(Relaxed) > 80);
    seconds(24 * 3600).await;
    assert_eq!(world.traces.load(Relaxed), 20, "and again the next day");
    running.end(&world).await;
}

/// Brings a pool of healthy nodes up, breaks something, and says what became of the pool.
async fn blackout(control: bool, breakage: impl Fn(&World, bool), long: u64) -> (Counts, Counts) {
    let world = World::new(WORKS);
    let pool = pool(0..100);
    let running = run(prober(config(), &pool, &world, control));
    seconds(100).await;
    assert_eq!(counts(&pool).healthy, 100);
    breakage(&world, true);
    seconds(long).await;
    let during = counts(&pool);
    breakage(&world, false);
    seconds(180).await;
    let after = counts(&pool);
    running.end(&world).await;
    (during, after)
}

#[tokio::test(start_paused = true)]
async fn an_uplink_that_is_down_kills_nobody() {
    for control in [true, false] {
        let (during, after) = blackout(control, |world, broken| *world.uplink.lock() = !broken, 1800).await;
        assert_eq!((during.dead, during.routable()), (0, 100), "control: {control}");
        assert_eq!(after.healthy, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_url_that_is_down_kills_nobody() {
    for control in [true, false] {
        let (during, after) = blackout(control, |world, broken| *world.url.lock() = !broken, 1800).await;
        assert_eq!((during.dead, during.routable()), (0, 100), "control: {control}");
        assert_eq!(after.healthy, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn real_mass_death_is_accepted() {
    let all = |world: &World, broken: bool| *world.usual.lock() = if broken { Way::Refuses } else { WORKS };
    let (during, after) = blackout(true, all, 600).await;
    assert_eq!(during.dead, 100, "the control check says that it is not us");
    assert_eq!(after.healthy, 100, "and they come back soon");
    let most = |world: &World, broken: bool| {
        (0..80).for_each(|n| world.set(n, if broken { Way::Refuses } else { WORKS }));
    };
    let (during, _) = blackout(false, most, 600).await;
    assert_eq!((during.dead, during.healthy), (80, 20), "without controls the survivors are the witnesses");
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_leaves_hardly_a_trace() {
    let (during, after) = blackout(true, |world, broken| *world.uplink.lock() = !broken, 20).await;
    assert_eq!(during.dead, 0);
    assert!(during.suspect < 40, "{during:?}");
    assert_eq!(after.healthy, 100);
}

#[tokio::test(start_paused = true)]
async fn a_start_without_a_network_is_survived() {
    let world = World::new(WORKS);
    let pool = pool(0..200);
    *world.uplink.lock() = false;
    let running = run(prober(config(), &pool, &world, true));
    seconds(1800).await;
    assert_eq!(counts(&pool).dead, 0);
    *world.uplink.lock() = true;
    seconds(90).await;
    assert_eq!(counts(&pool).healthy, 200);
    running.end(&world).await;
}

#[tokio::test(start_paused = true)]
async fn without_controls_nothing_goes_out_directly() {
    let world = World::new(Way::Refuses);
    let pool = pool(0..100);
    let running = run(prober(config(), &pool, &world, false));
    seconds(600).await;
    assert_eq!(world.direct.load(Relaxed), 0);
    running.end(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_goes_over_everyone_once() {
    let world = World::new(WORKS);
    let pool = pool(0..10_000);
    (0..8000).for_each(|n| world.set(n, Way::Hangs));
    let started = tokio::time::Instant::now();
    let mut calls = 0;
    let cancel = CancellationToken::new();
    let end = prober(config(), &pool, &world, false).sweep(&cancel, |_| calls += 1).await;
    assert_eq!(end, Progress { total: 10_000, done: 10_000, ok: 2000, failed: 8000, unsupported: 0 });
    assert!(calls > 1);
    assert_eq!(world.probes.load(Relaxed), 10_000);
    // 8,000 silent nodes by 2,000 at a time, 5 s each.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(counts(&pool).healthy, 2000);
    assert_eq!(pool.node(id(5)).unwrap().record().failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_without_uplink_blames_nobody() {
    let world = World::new(WORKS);
    let pool = pool(0..500);
    *world.uplink.lock() = false;
    let end = prober(config(), &pool, &world, true).sweep(&CancellationToken::new(), |_| {}).await;
    assert_eq!(end.done, 500);
    let blamed = pool.snapshot().nodes().filter(|node| node.record().failures > 0).count();
    assert!(blamed <= 32, "{blamed}");
}

#[tokio::test(start_paused = true)]
async fn a_healthy_node_that_falls_silent_is_suspect_before_the_timeout() {
    let (world, pool) = (World::new(WORKS), pool(0..1));
    let running = run(prober(ProbeConfig { jitter: 0.0, ..config() }, &pool, &world, false));
    seconds(1).await;
    world.set(0, Way::Hangs);
    // Its next probe begins after 60 s; 2 s are twenty times the 100 ms that it took.
    seconds(62).await;
    assert_eq!((state(&pool, 0), pool.node(id(0)).unwrap().record().failures), (State::Suspect, 1));
    // A suspect has the whole timeout of 5 s, after a pause of 10 s: it may have become slow.
    seconds(13).await;
    assert_eq!(pool.node(id(0)).unwrap().record().failures, 1);
    seconds(3).await;
    assert_eq!(pool.node(id(0)).unwrap().record().failures, 2);
    running.end(&world).await;
}
