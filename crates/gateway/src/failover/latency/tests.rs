//! Percentiles that forget, and limits between floor and ceiling.

use std::time::Duration;

use tokio::time::advance;

use super::{
    HALF_LIFE, HedgeDelays, LatencyEstimator, SLOW_AT_FIRST, SLOW_FLOOR, STALLED_AT_FIRST, STALLED_FLOOR, Wait,
};

const CEILING: Duration = Duration::from_secs(10);

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn estimator(answers: impl IntoIterator<Item = u64>) -> LatencyEstimator {
    let estimator = LatencyEstimator::new();
    answers.into_iter().for_each(|answer| estimator.record(Wait::Head, ms(answer)));
    estimator
}

#[tokio::test(start_paused = true)]
async fn the_limits_follow_the_median_and_the_95th_percentile() {
    let delays = estimator((0..100).map(|n| if n < 90 { 100 } else { 400 })).delays(Wait::Head, None, 0, CEILING);
    // Buckets are a fifth wide.
    assert!((ms(400)..ms(490)).contains(&delays.slow), "{delays:?}");
    assert!((ms(800)..ms(970)).contains(&delays.stalled), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn one_in_twenty_five_is_not_the_measure() {
    let delays = estimator((0..100).map(|n| if n < 96 { 100 } else { 9_000 })).delays(Wait::Head, None, 0, CEILING);
    assert!((ms(100)..ms(123)).contains(&delays.slow), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn floors_and_ceilings_hold() {
    let fast = estimator([1; 50]).delays(Wait::Head, None, 0, CEILING);
    assert_eq!(fast, HedgeDelays { slow: SLOW_FLOOR, stalled: STALLED_FLOOR });
    let slow = estimator([30_000; 50]).delays(Wait::Head, None, 0, CEILING);
    assert_eq!(slow, HedgeDelays { slow: CEILING / 2, stalled: CEILING });
    let endless = estimator([u64::MAX; 50]).delays(Wait::Head, Some(Duration::from_secs(3600)), 99, CEILING);
    assert_eq!(endless, HedgeDelays { slow: CEILING / 2, stalled: CEILING });
}

#[tokio::test(start_paused = true)]
async fn a_few_answers_say_nothing() {
    let delays = estimator([1; 19]).delays(Wait::Head, None, 0, CEILING);
    assert_eq!(delays, HedgeDelays { slow: SLOW_AT_FIRST, stalled: STALLED_AT_FIRST });
    let probed = estimator([1; 19]).delays(Wait::Head, Some(ms(50)), 0, CEILING);
    assert_eq!(probed, HedgeDelays { slow: ms(150), stalled: ms(600) });
    let slow = estimator([]).delays(Wait::Head, Some(ms(500)), 0, CEILING);
    assert_eq!(slow, HedgeDelays { slow: ms(1000), stalled: STALLED_AT_FIRST });
    assert_ne!(estimator([1; 20]).delays(Wait::Head, None, 0, CEILING), delays);
}

#[tokio::test(start_paused = true)]
async fn waits_are_measured_apart() {
    let estimator = estimator([1; 50]);
    assert_eq!(estimator.delays(Wait::Hello, None, 0, CEILING).slow, SLOW_AT_FIRST);
    assert_eq!(estimator.delays(Wait::Dial, None, 0, CEILING).slow, SLOW_AT_FIRST);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_slow_to_probe_gets_its_time() {
    let delays = estimator([1; 50]).delays(Wait::Head, Some(ms(400)), 0, CEILING);
    assert_eq!(delays, HedgeDelays { slow: ms(800), stalled: ms(1200) });
}

#[tokio::test(start_paused = true)]
async fn each_silent_node_makes_the_next_wait_longer() {
    let estimator = estimator([1; 50]);
    let waits: Vec<_> = (0..4).map(|silent| estimator.delays(Wait::Head, None, silent, CEILING).stalled).collect();
    assert_eq!(waits, [ms(250), ms(375), ms(500), ms(625)]);
}

#[tokio::test(start_paused = true)]
async fn old_measurements_fade() {
    let estimator = estimator([5_000; 400]);
    advance(HALF_LIFE * 4).await;
    (0..600).for_each(|_| estimator.record(Wait::Head, ms(10)));
    assert_eq!(estimator.delays(Wait::Head, None, 0, CEILING).slow, SLOW_FLOOR);
    advance(HALF_LIFE * 20).await;
    assert_eq!(estimator.delays(Wait::Head, None, 0, CEILING).slow, SLOW_AT_FIRST);
}
