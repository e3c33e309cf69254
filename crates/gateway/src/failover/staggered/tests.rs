//! Every attempt ends once, and its silence is told in time, in order and once, whenever attempts start.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use tokio::time::sleep;

use super::*;

/// One attempt, in milliseconds: when it starts after the one before it, how long it takes, and its two limits.
#[derive(Clone, Copy, Debug)]
struct Plan {
    pause: u64,
    takes: u64,
    slow: u64,
    stalled: u64,
}

/// What was told, in a form that can be sorted: when (in milliseconds), in which order at the same time, which attempt.
type Told = (u64, &'static str, usize);

fn plan() -> impl Strategy<Value = Plan> {
    (0..40_u64, 0..200_u64, 1..60_u64, 1..60_u64).prop_map(|(pause, takes, slow, more)| Plan {
        pause,
        takes,
        slow,
        stalled: slow + more,
    })
}

fn node(number: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(number).unwrap(); 16])
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// What has to be told: silence only of attempts that are still under way.
fn expected(plans: &[Plan]) -> Vec<Told> {
    let (mut start, mut told) = (0, Vec::new());
    for (number, plan) in plans.iter().enumerate() {
        start += plan.pause;
        let finished = start + plan.takes;
        told.push((finished, "finished", number));
        told.extend((plan.slow < plan.takes).then_some((start + plan.slow, "slow", number)));
        told.extend((plan.stalled < plan.takes).then_some((start + plan.stalled, "stalled", number)));
    }
    told.sort_unstable();
    told
}

/// What the machine tells while attempts start by plan. The wait for it is dropped whenever an attempt starts.
async fn run(plans: &[Plan]) -> Vec<Told> {
    let (began, mut staggered, mut told) = (Instant::now(), Staggered::new(), Vec::new());
    let mut slow_order = Vec::new();
    let mut waiting = plans.iter().enumerate();
    let mut upcoming = waiting.next();
    let mut next_start = upcoming.map(|(_, plan)| began + ms(plan.pause));
    while next_start.is_some() || !staggered.is_empty() {
        let event = tokio::select! {
            biased;
            event = staggered.next_event(true) => event,
            () = sleep_until(next_start.unwrap_or(began)), if next_start.is_some() => {
                let Some((number, plan)) = upcoming else { unreachable!() };
                let (takes, delays) = (ms(plan.takes), HedgeDelays { slow: ms(plan.slow), stalled: ms(plan.stalled) });
                let attempt = async move {
                    sleep(takes).await;
                    number
                };
                staggered.start(node(number), delays, attempt);
                slow_order.push((Instant::now() + delays.slow, number));
                upcoming = waiting.next();
                next_start = upcoming.map(|(_, plan)| Instant::now() + ms(plan.pause));
                continue;
            }
        };
        let now = u64::try_from(began.elapsed().as_millis()).unwrap();
        told.push(match event {
            Event::Finished(number) => {
                slow_order.retain(|(_, other)| *other != number);
                (now, "finished", number)
            }
            Event::Silent(Stall::Slow) => {
                // It is told of the one that became slow first.
                let (place, (_, number)) =
                    slow_order.iter().copied().enumerate().min_by_key(|(_, slow)| *slow).unwrap();
                slow_order.remove(place);
                (now, "slow", number)
            }
            Event::Silent(Stall::Stalled(id)) => {
                let number = usize::from(id.as_bytes()[0]);
                (now, "stalled", number)
            }
        });
        assert_eq!(staggered.has_fresh_attempt(), !slow_order.is_empty());
    }
    told.sort_unstable();
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_is_told_once_and_in_time(plans in vec(plan(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        prop_assert_eq!(runtime.block_on(run(&plans)), expected(&plans));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_that_nobody_watches_is_not_told() {
    let mut staggered = Staggered::new();
    let delays = HedgeDelays { slow: ms(10), stalled: ms(20) };
    staggered.start(node(1), delays, sleep(ms(100)));
    let began = Instant::now();
    assert!(matches!(staggered.next_event(false).await, Event::Finished(())));
    assert_eq!(began.elapsed(), ms(100));
    assert!(staggered.is_empty() && !staggered.has_fresh_attempt());
}

#[tokio::test(start_paused = true)]
async fn without_attempts_nothing_happens() {
    let mut staggered = Staggered::<()>::new();
    assert!(tokio::time::timeout(Duration::from_secs(3600), staggered.next_event(true)).await.is_err());
}
