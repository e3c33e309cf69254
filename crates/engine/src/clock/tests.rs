//! The clock beside a wall clock that steps: suspend, a machine that learns the time late, corrections.

use std::sync::Arc;

use super::*;

const START: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;

/// A clock, and the wall clock that it follows: the monotonic time and a step that the test sets.
fn world() -> (Clock, Arc<AtomicU64>) {
    let wall = Arc::new(AtomicU64::new(START));
    let (begun, read) = (Instant::now(), Arc::clone(&wall));
    let clock = Clock::following(move || Timestamp(read.load(Relaxed) + begun.elapsed().as_millis() as u64));
    (clock, wall)
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_finds_the_time_again() {
    let (clock, wall) = world();
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(clock.now(), Timestamp(START + 10_000));
    // Eight hours in which the monotonic clock stood still.
    wall.fetch_add(8 * HOUR, Relaxed);
    assert_eq!(clock.now(), Timestamp(START + 10_000 + 8 * HOUR));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(clock.now(), Timestamp(START + 11_000 + 8 * HOUR));
    assert_eq!((clock.wall(), clock.shown(Timestamp(5))), (clock.now(), Timestamp(5)));
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_a_clock_learns_the_time() {
    let wall = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&wall);
    let clock = Clock::following(move || Timestamp(read.load(Relaxed)));
    assert_eq!(clock.now(), Timestamp(0));
    wall.store(START, Relaxed);
    assert_eq!(clock.now(), Timestamp(START));
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_stops_nothing() {
    let (clock, wall) = world();
    let before = clock.now();
    wall.fetch_sub(21 * 24 * HOUR, Relaxed);
    // Time goes on evenly for everything that waits, and dates are right at once.
    assert_eq!(clock.now(), before);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(clock.now(), before.after(Duration::from_secs(60)));
    assert_eq!(clock.wall(), Timestamp(START + 60_000 - 21 * 24 * HOUR));
    assert_eq!(clock.shown(clock.now()), clock.wall());
    // It is set right again: nothing has to be caught up.
    wall.fetch_add(21 * 24 * HOUR, Relaxed);
    assert_eq!(clock.now(), before.after(Duration::from_secs(60)));
    assert_eq!(clock.wall(), clock.now());
}

#[tokio::test(start_paused = true)]
async fn slow_corrections_are_no_steps() {
    let (clock, wall) = world();
    for _ in 0..3 {
        wall.fetch_add(500, Relaxed);
        assert_eq!(clock.now(), Timestamp(START));
    }
    wall.fetch_add(1000, Relaxed);
    assert_eq!(clock.now(), Timestamp(START + 2500), "together they are a step");
}

#[test]
fn no_thread_sees_time_run_backwards() {
    let wall = Arc::new(AtomicU64::new(START));
    let read = Arc::clone(&wall);
    let clock = Clock::following(move || Timestamp(read.load(Relaxed)));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = clock.now();
                for _ in 0..20_000 {
                    let now = clock.now();
                    assert!(now >= last);
                    last = now;
                }
            });
        }
        for n in 0..2000_u64 {
            let step = (n % 7) * 5000;
            wall.store(START + step, Relaxed);
        }
    });
}
