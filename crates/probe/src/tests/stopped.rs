//! A process that is stopped for a minute and continued judges no node by what it missed.

use std::sync::atomic::AtomicU64;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test(start_paused = true)]
async fn what_fails_over_a_stop_does_not_count() {
    let (world, pool) = (World::new(WORKS), pool([1]));
    // The runtime's time stands still while the process does; the clock's does not.
    let (began, stopped_ms) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let stops = Arc::clone(&stopped_ms);
    let clock = Clock::following(move || {
        let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap();
        Timestamp(START.0 + elapsed + stops.load(Relaxed))
    });
    let config = ProbeConfig { interval: Duration::from_secs(60), ..config() };
    let prober = prober_by(clock, config, &pool, &world, false);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let running = tokio::spawn(async move { prober.run(stop).await });
    let node = pool.node(id(1)).unwrap();
    while !node.routable() {
        sleep(Duration::from_millis(100)).await;
    }
    *world.usual.lock() = Way::Hangs;
    let probes = world.probes.load(Relaxed);
    while world.probes.load(Relaxed) == probes {
        sleep(Duration::from_millis(100)).await;
    }
    stopped_ms.store(60_000, Relaxed);
    *world.usual.lock() = WORKS;
    while world.running.load(Relaxed) > 0 {
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!((node.state(), node.record().failures), (hezar_pool::State::Healthy, 0));
    // The same failure of a process that runs counts.
    *world.usual.lock() = Way::Hangs;
    for _ in 0..1800 {
        sleep(Duration::from_millis(100)).await;
        if node.record().failures > 0 {
            break;
        }
    }
    assert!(node.record().failures > 0);
    cancel.cancel();
    running.await.unwrap();
}
