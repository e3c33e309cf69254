//! Percentiles that forget, limits between floor and ceiling, and a budget that is never overdrawn.

use std::time::Duration;

use tokio::time::advance;

use super::{Budget, HALF_LIFE, LATE_AT_FIRST, LATE_FLOOR, LOST_AT_FIRST, LOST_FLOOR, Pace, Patience, Wait};

const CEILING: Duration = Duration::from_secs(10);

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn pace(answers: impl IntoIterator<Item = u64>) -> Pace {
    let pace = Pace::new(CEILING);
    answers.into_iter().for_each(|answer| pace.note(Wait::Head, ms(answer)));
    pace
}

#[tokio::test(start_paused = true)]
async fn the_limits_follow_the_median_and_the_95th_percentile() {
    let patience = pace((0..100).map(|n| if n < 90 { 100 } else { 400 })).patience(Wait::Head, None, 0);
    // Buckets are a fifth wide.
    assert!((ms(400)..ms(490)).contains(&patience.late), "{patience:?}");
    assert!((ms(800)..ms(970)).contains(&patience.lost), "{patience:?}");
}

#[tokio::test(start_paused = true)]
async fn one_in_twenty_five_is_not_the_measure() {
    let patience = pace((0..100).map(|n| if n < 96 { 100 } else { 9_000 })).patience(Wait::Head, None, 0);
    assert!((ms(100)..ms(123)).contains(&patience.late), "{patience:?}");
}

#[tokio::test(start_paused = true)]
async fn floors_and_ceilings_hold() {
    let fast = pace([1; 50]).patience(Wait::Head, None, 0);
    assert_eq!(fast, Patience { late: LATE_FLOOR, lost: LOST_FLOOR });
    let slow = pace([30_000; 50]).patience(Wait::Head, None, 0);
    assert_eq!(slow, Patience { late: CEILING / 2, lost: CEILING });
    let endless = pace([u64::MAX; 50]).patience(Wait::Head, Some(Duration::from_secs(3600)), 99);
    assert_eq!(endless, Patience { late: CEILING / 2, lost: CEILING });
}

#[tokio::test(start_paused = true)]
async fn a_few_answers_say_nothing() {
    let patience = pace([1; 19]).patience(Wait::Head, None, 0);
    assert_eq!(patience, Patience { late: LATE_AT_FIRST, lost: LOST_AT_FIRST });
    let probed = pace([1; 19]).patience(Wait::Head, Some(ms(50)), 0);
    assert_eq!(probed, Patience { late: ms(150), lost: ms(600) });
    let slow = pace([]).patience(Wait::Head, Some(ms(500)), 0);
    assert_eq!(slow, Patience { late: ms(1000), lost: LOST_AT_FIRST });
    assert_ne!(pace([1; 20]).patience(Wait::Head, None, 0), patience);
}

#[tokio::test(start_paused = true)]
async fn waits_are_measured_apart() {
    let pace = pace([1; 50]);
    assert_eq!(pace.patience(Wait::Hello, None, 0).late, LATE_AT_FIRST);
    assert_eq!(pace.patience(Wait::Dial, None, 0).late, LATE_AT_FIRST);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_slow_to_probe_gets_its_time() {
    let patience = pace([1; 50]).patience(Wait::Head, Some(ms(400)), 0);
    assert_eq!(patience, Patience { late: ms(800), lost: ms(1200) });
}

#[tokio::test(start_paused = true)]
async fn each_silent_node_makes_the_next_wait_longer() {
    let pace = pace([1; 50]);
    let waits: Vec<_> = (0..4).map(|silent| pace.patience(Wait::Head, None, silent).lost).collect();
    assert_eq!(waits, [ms(250), ms(375), ms(500), ms(625)]);
}

#[tokio::test(start_paused = true)]
async fn old_measurements_fade() {
    let pace = pace([5_000; 400]);
    advance(HALF_LIFE * 4).await;
    (0..600).for_each(|_| pace.note(Wait::Head, ms(10)));
    assert_eq!(pace.patience(Wait::Head, None, 0).late, LATE_FLOOR);
    advance(HALF_LIFE * 20).await;
    assert_eq!(pace.patience(Wait::Head, None, 0).late, LATE_AT_FIRST);
}

#[test]
fn hedges_are_a_share_of_the_requests() {
    let budget = Budget::new(5);
    assert!(!budget.take());
    let hedges = (0..10_000).filter(|_| {
        budget.earn();
        budget.take()
    });
    assert_eq!(hedges.count(), 500);
    // What is saved up is bounded.
    (0..10_000).for_each(|_| budget.earn());
    assert_eq!((0..100).filter(|_| budget.take()).count(), 10);
    let never = Budget::new(0);
    (0..10_000).for_each(|_| never.earn());
    assert!(!never.take());
}
