//! Limits follow each node's own time, between floor and ceiling.

use std::time::Duration;

use hezar_core::NodeId;
use tokio::time::advance;

use super::{
    Expected, HALF_LIFE, HedgeDelays, LatencyEstimator, MARGIN, SLOW_AT_FIRST, SLOW_FLOOR, STALLED_AT_FIRST, Wait,
};

const CEILING: Duration = Duration::from_secs(10);

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// A node of which nothing is known.
fn unknown(number: u16) -> Expected {
    let [high, low] = number.to_be_bytes();
    Expected { node: NodeId::from_bytes([high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), probe: None }
}

/// The same with a probe.
fn probed(number: u16, probe: u64) -> Expected {
    Expected { probe: Some(ms(probe)), ..unknown(number) }
}

/// An estimator to which so many nodes have answered once each.
fn estimator(answers: impl IntoIterator<Item = u64>) -> LatencyEstimator {
    let estimator = LatencyEstimator::new();
    answers.into_iter().zip(0..).for_each(|(took, node)| estimator.record(Wait::Head, unknown(node), ms(took)));
    estimator
}

fn delays(estimator: &LatencyEstimator, of: Expected) -> HedgeDelays {
    estimator.delays(Wait::Head, of, 0, CEILING)
}

#[tokio::test(start_paused = true)]
async fn each_node_gets_the_time_that_it_usually_takes() {
    let estimator = LatencyEstimator::new();
    for _ in 0..50 {
        estimator.record(Wait::Dial, unknown(1), ms(20));
        estimator.record(Wait::Dial, unknown(2), ms(800));
    }
    let delays = |node| estimator.delays(Wait::Dial, unknown(node), 0, CEILING);
    assert!((ms(80)..ms(100)).contains(&delays(1).stalled), "{:?}", delays(1));
    assert!((ms(1000)..ms(1200)).contains(&delays(2).stalled), "{:?}", delays(2));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_probed_only_is_compared_with_its_probe() {
    let estimator = LatencyEstimator::new();
    // A dial takes three quarters of a probe, whatever the distance.
    (0..60).for_each(|node| {
        let probe = 40 + 10 * u64::from(node);
        estimator.record(Wait::Dial, probed(node, probe), ms(probe * 3 / 4));
    });
    let (near, far) = (probed(100, 40), probed(101, 800));
    let stalled = |of| estimator.delays(Wait::Dial, of, 0, CEILING).stalled;
    assert!((ms(95)..ms(110)).contains(&stalled(near)), "{:?}", stalled(near));
    assert!((ms(800)..ms(960)).contains(&stalled(far)), "{:?}", stalled(far));
}

#[tokio::test(start_paused = true)]
async fn times_that_vary_get_room() {
    let estimator = LatencyEstimator::new();
    (0..400).for_each(|turn| estimator.record(Wait::Head, unknown(1), ms(if turn % 10 == 0 { 900 } else { 100 })));
    assert!(delays(&estimator, unknown(1)).stalled > ms(900), "{:?}", delays(&estimator, unknown(1)));
}

#[tokio::test(start_paused = true)]
async fn without_knowledge_of_the_node_the_median_and_the_95th_percentile_decide() {
    let estimator = estimator((0..100).map(|n| if n < 90 { 100 } else { 400 }));
    let delays = delays(&estimator, unknown(1000));
    // Buckets are a tenth wide.
    assert!((ms(400)..ms(440)).contains(&delays.slow), "{delays:?}");
    assert!((ms(860)..ms(940)).contains(&delays.stalled), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn one_in_twenty_five_is_not_the_measure() {
    let estimator = estimator((0..100).map(|n| if n < 96 { 100 } else { 9_000 }));
    let delays = delays(&estimator, unknown(1000));
    assert!((ms(100)..ms(112)).contains(&delays.slow), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn floors_and_ceilings_hold() {
    let fast = delays(&estimator([1; 50]), unknown(1000));
    assert_eq!(fast.slow, SLOW_FLOOR);
    assert!((MARGIN..MARGIN + ms(10)).contains(&fast.stalled), "{fast:?}");
    let slow = delays(&estimator([30_000; 50]), unknown(1000));
    assert_eq!(slow, HedgeDelays { slow: CEILING / 2, stalled: CEILING });
    let endless = estimator([u64::MAX; 50]).delays(Wait::Head, probed(1000, 3_600_000), 99, CEILING);
    assert_eq!(endless, HedgeDelays { slow: CEILING / 2, stalled: CEILING });
}

#[tokio::test(start_paused = true)]
async fn a_few_answers_say_nothing() {
    let few = estimator([1; 19]);
    let at_first = HedgeDelays { slow: SLOW_AT_FIRST, stalled: STALLED_AT_FIRST };
    assert_eq!(delays(&few, unknown(1000)), at_first);
    assert_eq!(delays(&few, probed(1000, 50)), HedgeDelays { slow: ms(150), stalled: ms(600) });
    assert_eq!(delays(&few, probed(1000, 500)), HedgeDelays { slow: ms(1000), stalled: STALLED_AT_FIRST });
    assert_ne!(delays(&estimator([1; 20]), unknown(1000)), at_first);
}

#[tokio::test(start_paused = true)]
async fn waits_are_measured_apart() {
    let estimator = estimator([1; 50]);
    assert_eq!(estimator.delays(Wait::Hello, unknown(1000), 0, CEILING).slow, SLOW_AT_FIRST);
    assert_eq!(estimator.delays(Wait::Dial, unknown(1000), 0, CEILING).slow, SLOW_AT_FIRST);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_slow_to_probe_gets_its_time() {
    let delays = delays(&estimator([1; 50]), probed(1000, 400));
    assert_eq!(delays, HedgeDelays { slow: ms(800), stalled: ms(1200) });
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_gains_nothing_does_not_start() {
    let estimator = LatencyEstimator::new();
    for _ in 0..50 {
        estimator.record(Wait::Dial, unknown(1), ms(300));
        estimator.record(Wait::Head, unknown(1), ms(100));
    }
    // What is left until the node counts as stalled is less than what another node takes.
    let delays = delays(&estimator, unknown(1));
    assert_eq!(delays.slow, delays.stalled);
}

#[tokio::test(start_paused = true)]
async fn each_silent_node_makes_the_next_wait_longer() {
    let estimator = estimator([100; 50]);
    let stalled = |silent| estimator.delays(Wait::Head, unknown(1000), silent, CEILING).stalled;
    let first = stalled(0);
    assert_eq!([stalled(1), stalled(2), stalled(3)], [first + first / 2, first * 2, first * 2 + first / 2]);
}

#[tokio::test(start_paused = true)]
async fn old_measurements_fade() {
    let estimator = estimator([5_000; 400]);
    advance(HALF_LIFE * 4).await;
    (0..600).for_each(|node| estimator.record(Wait::Head, unknown(node), ms(10)));
    assert_eq!(delays(&estimator, unknown(1000)).slow, SLOW_FLOOR);
    advance(HALF_LIFE * 20).await;
    assert_eq!(delays(&estimator, unknown(1000)).slow, SLOW_AT_FIRST);
}
