//! The laws of the schedule.

use std::collections::HashSet;

use hezar_core::ServerKey;
use hezar_pool::State;
use proptest::prelude::*;

use super::*;
use crate::{Intervals, NodeHealth, ProbeEnd, Schedule};

fn intervals() -> Intervals {
    Intervals {
        interval: Duration::from_secs(60),
        suspect: Duration::from_secs(10),
        dead_most: Duration::from_secs(1800),
        jitter: 0.0,
        per_host: 4,
        per_host_per_second: 0,
        dead_after: 3,
    }
}

fn health(state: State) -> NodeHealth {
    let failures = if state == State::Dead { 3 } else { 0 };
    NodeHealth { server: None, state, failures, ever_worked: false, last_checked: None }
}

fn drain(schedule: &mut Schedule, now: Timestamp) -> Vec<NodeId> {
    std::iter::from_fn(|| schedule.next(now)).collect()
}

#[test]
fn known_good_ones_go_first() {
    let mut schedule = Schedule::new(intervals());
    let states = [State::Dead, State::New, State::Suspect, State::Healthy];
    for (n, state) in (0..).zip(states) {
        schedule.upsert(id(n), health(state), at(0), 0);
    }
    assert_eq!(schedule.due(at(0)), Some(at(0)));
    assert_eq!(drain(&mut schedule, at(0)), [id(3), id(2), id(1), id(0)]);
    assert_eq!(schedule.running(), 4);
    assert_eq!(schedule.due(at(0)), None, "everyone is being probed");
}

#[test]
fn a_node_that_waited_long_gets_its_turn() {
    let mut schedule = Schedule::new(intervals());
    schedule.upsert(id(0), health(State::Dead), at(0), 0);
    (1..100).for_each(|n| schedule.upsert(id(n), health(State::Healthy), at(61), 0));
    let first: Vec<_> = (0..2).filter_map(|_| schedule.next(at(61))).collect();
    assert!(first.contains(&id(0)));
}

#[test]
fn pauses_follow_the_state_and_grow_for_the_dead() {
    let mut schedule = Schedule::new(intervals());
    schedule.upsert(id(0), health(State::New), at(0), 0);
    let mut now = at(0);
    let mut pause = |ended: ProbeEnd| {
        assert_eq!(schedule.next(now), Some(id(0)));
        assert_eq!(schedule.next(now), None);
        schedule.finish(id(0), ended, now, 0);
        let due = schedule.due(now).unwrap();
        assert_eq!(schedule.next(Timestamp(due.0 - 1)), None, "not a moment earlier");
        let pause = due.since(now).as_secs();
        now = due;
        pause
    };
    assert_eq!(pause(ProbeEnd::Decided(State::Healthy, 0)), 60);
    assert_eq!(pause(ProbeEnd::Decided(State::Suspect, 1)), 10);
    assert_eq!(pause(ProbeEnd::Decided(State::Suspect, 2)), 10);
    let dead: Vec<_> = (3..19).map(|failures| pause(ProbeEnd::Decided(State::Dead, failures))).collect();
    assert_eq!(dead[..8], [30; 8], "it may be back soon");
    assert_eq!(dead[8..], [60, 120, 240, 480, 960, 1800, 1800, 1800]);
    assert_eq!(pause(ProbeEnd::Decided(State::Dead, u32::MAX)), 1800);
    let nothing: Vec<_> = (0..5).map(|_| pause(ProbeEnd::Inconclusive)).collect();
    assert_eq!(nothing, [10, 20, 40, 60, 60], "never longer than the interval");
    assert_eq!(pause(ProbeEnd::Decided(State::Healthy, 0)), 60);
    let new: Vec<_> = (1..3).map(|failures| pause(ProbeEnd::Decided(State::New, failures))).collect();
    assert_eq!(new, [10, 20]);
}

#[test]
fn a_dead_node_from_the_last_run_waits_for_its_pause() {
    let mut schedule = Schedule::new(intervals());
    let dead = NodeHealth { failures: 5, last_checked: Some(at(0)), ..health(State::Dead) };
    schedule.upsert(id(0), dead, at(100), 0);
    assert_eq!(schedule.next(at(239)), None);
    assert_eq!(schedule.next(at(240)), Some(id(0)));
}

#[test]
fn a_node_that_traffic_made_suspect_is_due_now() {
    let mut schedule = Schedule::new(intervals());
    schedule.upsert(id(0), health(State::Healthy), at(0), 0);
    assert_eq!(schedule.next(at(0)), Some(id(0)));
    schedule.upsert(id(0), health(State::Suspect), at(1), 0);
    assert_eq!(schedule.next(at(1)), None, "it is being probed");
    schedule.finish(id(0), ProbeEnd::Decided(State::Healthy, 0), at(2), 0);
    assert_eq!(schedule.next(at(2)), Some(id(0)), "and again, because traffic disagreed meanwhile");
    schedule.finish(id(0), ProbeEnd::Decided(State::Healthy, 0), at(3), 0);
    assert_eq!(schedule.next(at(3)), None);
    schedule.upsert(id(0), health(State::Suspect), at(4), 0);
    assert_eq!(schedule.next(at(4)), Some(id(0)));
}

#[test]
fn a_host_is_probed_by_a_few_at_a_time() {
    let mut schedule = Schedule::new(intervals());
    let on = |server| NodeHealth { server: Some(ServerKey(server)), ..health(State::New) };
    (0..10).for_each(|n| schedule.upsert(id(n), on(1), at(0), 0));
    schedule.upsert(id(10), on(2), at(0), 0);
    let first = drain(&mut schedule, at(0));
    assert_eq!(first.len(), 5, "four on one host, one on the other");
    assert_eq!(schedule.due(at(0)), None);
    schedule.finish(first[0], ProbeEnd::Decided(State::Healthy, 0), at(1), 0);
    assert_eq!(schedule.due(at(1)), Some(at(1)));
    assert_eq!(drain(&mut schedule, at(1)).len(), 1);
    schedule.remove(first[1]);
    assert_eq!(drain(&mut schedule, at(1)).len(), 1, "a removed node frees its place");
    schedule.finish(first[1], ProbeEnd::Inconclusive, at(1), 0);
    assert_eq!(drain(&mut schedule, at(1)).len(), 0, "but only once");
}

#[test]
fn after_a_blackout_some_of_the_dead_are_hurried() {
    let mut schedule = Schedule::new(intervals());
    for n in 0..20 {
        let dead = NodeHealth { failures: 5, last_checked: Some(at(0)), ..health(State::Dead) };
        schedule.upsert(id(n), dead, at(0), 0);
    }
    assert!(drain(&mut schedule, at(60)).is_empty());
    let mut random = 0_u64;
    let hurried: HashSet<_> = (0..10).map(id).collect();
    schedule.expedite_dead(
        at(60),
        |id| hurried.contains(&id),
        || {
            random = random.wrapping_add(u64::MAX / 10);
            random
        },
    );
    assert_eq!(drain(&mut schedule, at(121)).into_iter().collect::<HashSet<_>>(), hurried);
    schedule.advance(3, at(122));
    assert_eq!(drain(&mut schedule, at(122)).len(), 3);
    schedule.advance(30, at(122));
    assert_eq!(drain(&mut schedule, at(122)).len(), 7);
}

#[test]
fn after_an_outage_the_unproven_do_not_wait_out_their_pauses() {
    let mut schedule = Schedule::new(intervals());
    (0..20).for_each(|n| schedule.upsert(id(n), health(State::Healthy), at(0), 0));
    for round in 0..4_u64 {
        for node in drain(&mut schedule, at(round * 60)) {
            schedule.finish(node, ProbeEnd::Inconclusive, at(round * 60), 0);
        }
    }
    assert!(drain(&mut schedule, at(190)).is_empty());
    schedule.finish(id(0), ProbeEnd::Inconclusive, at(190), 0);
    schedule.expedite_undecided(at(190), || u64::MAX);
    assert!(drain(&mut schedule, at(192)).is_empty(), "spread over a quarter of a suspect's pause");
    let due = drain(&mut schedule, at(195));
    assert_eq!(due.len(), 20);
    // One that runs when the outage ends starts counting its misses anew.
    schedule.expedite_undecided(at(195), || 0);
    schedule.finish(due[0], ProbeEnd::Inconclusive, at(196), 0);
    assert_eq!(schedule.due(at(196)), Some(at(206)));
    schedule.finish(due[1], ProbeEnd::Retry, at(196), 0);
    assert_eq!(drain(&mut schedule, at(196)), [due[1]], "a probe that began in the outage is made again at once");
}

proptest! {
    #[test]
    fn jitter_stays_in_its_range(random in any::<u64>(), jitter in 0.0..0.9_f32) {
        let mut schedule = Schedule::new(Intervals { jitter, ..intervals() });
        schedule.upsert(id(0), health(State::Healthy), at(0), random);
        schedule.next(at(0));
        schedule.finish(id(0), ProbeEnd::Decided(State::Healthy, 0), at(0), random);
        let pause = schedule.due(at(0)).unwrap().since(at(0)).as_secs_f32();
        prop_assert!((pause - 60.0).abs() <= 60.0 * jitter + 0.01, "{}", pause);
    }

    /// Whatever happens, no node runs twice, no host is overrun, and nobody is lost.
    #[test]
    fn nobody_runs_twice_and_nobody_is_lost(
        steps in prop::collection::vec((0..6_u8, 0..20_u32, 0..4_usize, 0..30_u64, any::<u64>()), 0..300)
    ) {
        let mut schedule = Schedule::new(Intervals { jitter: 0.2, per_host: 2, ..intervals() });
        let (mut known, mut running, mut now) = (HashSet::new(), HashSet::new(), at(0));
        for (step, n, state, seconds, random) in steps {
            now = now.after(Duration::from_secs(seconds));
            let state = State::ALL[state];
            let of = |n: u32| NodeHealth { server: Some(ServerKey(1 + u64::from(n % 5))), ..health(state) };
            match step {
                0 => {
                    schedule.upsert(id(n), of(n), now, random);
                    known.insert(n);
                }
                1 => {
                    schedule.remove(id(n));
                    known.remove(&n);
                    running.remove(&n);
                }
                2 if running.remove(&n) => schedule.finish(id(n), ProbeEnd::Decided(state, 1), now, random),
                3 if running.remove(&n) => schedule.finish(id(n), ProbeEnd::Inconclusive, now, random),
                _ => {
                    if let Some(next) = schedule.next(now) {
                        let n = (0..20).find(|n| id(*n) == next).unwrap();
                        prop_assert!(known.contains(&n) && running.insert(n));
                    }
                }
            }
            prop_assert_eq!(schedule.running(), running.len());
            prop_assert_eq!(schedule.len(), known.len());
            for server in 0..5 {
                prop_assert!(running.iter().filter(|n| *n % 5 == server).count() <= 2);
            }
        }
        // When everything ends and time passes, everyone gets a turn.
        for n in running.drain() {
            schedule.finish(id(n), ProbeEnd::Inconclusive, now, 0);
        }
        let mut reached = HashSet::new();
        now = now.after(Duration::from_secs(4000));
        while let Some(next) = schedule.next(now) {
            reached.insert(next);
            schedule.finish(next, ProbeEnd::Decided(State::Healthy, 0), now, 0);
        }
        prop_assert_eq!(reached, known.iter().map(|n| id(*n)).collect::<HashSet<_>>());
    }
}

#[test]
fn no_clock_makes_a_node_wait_longer_than_the_longest_pause() {
    let mut schedule = Schedule::new(intervals());
    // Stored by a machine whose clock was a month ahead.
    let ahead = NodeHealth { failures: 4, last_checked: Some(at(30 * 86_400)), ..health(State::Dead) };
    schedule.upsert(id(0), ahead, at(0), 0);
    assert!(schedule.due(at(0)).unwrap() <= at(1800));
    assert_eq!(schedule.next(at(1800)), Some(id(0)));
    schedule.finish(id(0), ProbeEnd::Decided(State::Dead, u32::MAX), at(1800), 0);
    assert!(schedule.due(at(1800)).unwrap() <= at(3600));
}

#[test]
fn a_dead_node_that_is_listed_again_is_looked_at_within_one_interval() {
    let mut schedule = Schedule::new(intervals());
    let dead = NodeHealth { failures: 16, last_checked: Some(at(0)), ..health(State::Dead) };
    (0..100).for_each(|n| schedule.upsert(id(n), dead, at(0), 0));
    assert!(drain(&mut schedule, at(240)).is_empty());
    (0..50).for_each(|n| schedule.expedite_one(id(n), at(240), u64::from(n) << 58));
    let looked: HashSet<_> = (240..=300).flat_map(|second| drain(&mut schedule, at(second))).collect();
    assert_eq!(looked, (0..50).map(id).collect());
    schedule.expedite_one(id(0), at(301), 0);
    assert_eq!(schedule.running(), 50, "a running probe is enough");
}

#[test]
fn a_node_that_leaves_when_its_turn_has_come_gives_it_to_the_next_one_of_its_host() {
    let mut schedule = Schedule::new(Intervals { per_host: 1, ..intervals() });
    let on_host = NodeHealth { server: Some(ServerKey(7)), ..health(State::New) };
    (0..4).for_each(|n| schedule.upsert(id(n), on_host, at(0), 0));
    assert_eq!(drain(&mut schedule, at(0)), [id(0)], "the others wait for their host");
    schedule.finish(id(0), ProbeEnd::Decided(State::Healthy, 0), at(1), 0);
    // The next one has its turn, and leaves before it is started.
    schedule.remove(id(1));
    assert_eq!(drain(&mut schedule, at(1)), [id(2)]);
    schedule.remove(id(2));
    schedule.remove(id(3));
    assert_eq!(drain(&mut schedule, at(1)), []);
}

/// The pauses, in seconds, after so many failures of a node that is dead.
fn dead_pauses(schedule: &mut Schedule, from: &mut u64, failures: std::ops::Range<u32>) -> Vec<u64> {
    let mut pauses = Vec::new();
    for failures in failures {
        assert_eq!(schedule.next(at(*from)), Some(id(0)));
        schedule.finish(id(0), ProbeEnd::Decided(State::Dead, failures), at(*from), 1 << 63);
        let due = schedule.due(at(*from)).unwrap().since(at(*from)).as_secs();
        pauses.push(due);
        *from += due;
    }
    pauses
}

#[test]
fn who_died_lately_is_looked_at_soon_and_who_always_flaps_is_not() {
    let mut schedule = Schedule::new(intervals());
    schedule.upsert(id(0), NodeHealth { ever_worked: true, ..health(State::Healthy) }, at(0), 0);
    let mut now = 0;
    let first = dead_pauses(&mut schedule, &mut now, 3..14);
    assert_eq!(first[..8], [30; 8]);
    assert_eq!(first[8..], [60, 120, 240]);
    // It comes back and dies again within two intervals, twice.
    for _ in 0..2 {
        assert_eq!(schedule.next(at(now)), Some(id(0)));
        schedule.finish(id(0), ProbeEnd::Decided(State::Healthy, 0), at(now), 1 << 63);
        now += 60;
        assert_eq!(schedule.next(at(now)), Some(id(0)));
        schedule.finish(id(0), ProbeEnd::Decided(State::Dead, 3), at(now), 1 << 63);
        now = schedule.due(at(now)).unwrap().0.saturating_sub(at(0).0) / 1000;
    }
    assert_eq!(dead_pauses(&mut schedule, &mut now, 4..7), [120, 240, 480], "it flaps");
    schedule.note_routable(3);
    assert_eq!(dead_pauses(&mut schedule, &mut now, 7..9), [30, 30], "few others work");
    schedule.note_routable(1000);
    assert_eq!(dead_pauses(&mut schedule, &mut now, 4..5), [120], "many others work");
    // It works for long before it dies again.
    assert_eq!(schedule.next(at(now)), Some(id(0)));
    for _ in 0..4 {
        schedule.finish(id(0), ProbeEnd::Decided(State::Healthy, 0), at(now), 1 << 63);
        now += 60;
        assert_eq!(schedule.next(at(now)), Some(id(0)));
    }
    schedule.finish(id(0), ProbeEnd::Decided(State::Dead, 3), at(now), 1 << 63);
    assert_eq!(schedule.due(at(now)), Some(at(now + 30)), "it may be back soon");
}

/// Lets a healthy node be probed at second 0.
fn probed_healthy(schedule: &mut Schedule, n: u32) {
    schedule.upsert(id(n), NodeHealth { ever_worked: true, ..health(State::Healthy) }, at(0), 0);
    assert_eq!(schedule.next(at(0)), Some(id(n)));
    schedule.finish(id(n), ProbeEnd::Decided(State::Healthy, 0), at(0), 1 << 63);
}

#[test]
fn traffic_that_succeeds_puts_a_probe_off_but_not_for_ever() {
    let mut schedule = Schedule::new(intervals());
    probed_healthy(&mut schedule, 0);
    assert_eq!(schedule.next_unless_used(at(60), |_| Some(at(50))), None);
    assert_eq!(schedule.due(at(60)), Some(at(98)), "four fifths of an interval after the last success");
    assert_eq!(schedule.next_unless_used(at(98), |_| Some(at(50))), Some(id(0)), "nothing has passed since");
    schedule.finish(id(0), ProbeEnd::Decided(State::Healthy, 0), at(98), 1 << 63);
    // A success in every second: the node is probed in the fourth interval all the same.
    let probed = (99..).find(|second| schedule.next_unless_used(at(*second), |_| Some(at(second - 1))).is_some());
    assert_eq!(probed, Some(98 + 240));
}

#[test]
fn traffic_puts_no_probe_off_that_is_asked_for_or_of_a_suspect() {
    let mut schedule = Schedule::new(intervals());
    (0..2).for_each(|n| probed_healthy(&mut schedule, n));
    assert!(schedule.demand(id(0), at(60)));
    schedule.upsert(id(1), health(State::Suspect), at(60), 0);
    let due: HashSet<_> = std::iter::from_fn(|| schedule.next_unless_used(at(60), |_| Some(at(59)))).collect();
    assert_eq!(due, HashSet::from([id(0), id(1)]));
}

#[test]
fn what_traffic_saves_is_spent_on_those_that_died_lately() {
    let mut schedule = Schedule::new(intervals());
    (0..2).for_each(|n| probed_healthy(&mut schedule, n));
    // Node 0 carries traffic and saves three probes in each four intervals; node 1 dies.
    let (mut probes, mut since) = ([0; 2], 0);
    for second in 60..6060 {
        while let Some(probed) = schedule.next_unless_used(at(second), |node| (node == id(0)).then(|| at(second - 1))) {
            let dead = probed == id(1);
            probes[usize::from(dead)] += 1;
            since += u32::from(dead);
            let end =
                if dead { ProbeEnd::Decided(State::Dead, 3 + since) } else { ProbeEnd::Decided(State::Healthy, 0) };
            schedule.finish(probed, end, at(second), 1 << 63);
        }
    }
    assert_eq!(probes[0], 25, "one in four intervals");
    // In 100 intervals: two an interval for a while, then ever fewer; and most of the 75 that were saved.
    let mut alone = Schedule::new(intervals());
    probed_healthy(&mut alone, 0);
    let without = dead_pauses(&mut alone, &mut 60, 3..19).into_iter().scan(60, |at, pause| {
        *at += pause;
        Some(*at)
    });
    let without = 1 + without.filter(|at| *at < 6060).count();
    assert!((without + 25..=without + 75).contains(&probes[1]), "{} and {without}", probes[1]);
}

#[test]
fn the_pause_of_a_dead_node_counts_from_the_beginning_of_its_probe() {
    let mut schedule = Schedule::new(intervals());
    probed_healthy(&mut schedule, 0);
    for (began, ended, due) in [(60, 65, 90), (90, 119, 122)] {
        assert_eq!(schedule.next(at(began)), Some(id(0)));
        schedule.finish(id(0), ProbeEnd::Decided(State::Dead, 3), at(ended), 1 << 63);
        assert_eq!(schedule.due(at(ended)).map(|due| due.since(at(0)).as_secs()), Some(due));
        schedule.advance(1, at(due));
    }
}

#[test]
fn a_place_that_its_node_has_left_hides_nobody_behind_it() {
    let mut schedule = Schedule::new(intervals());
    (0..2).for_each(|n| schedule.upsert(id(n), health(State::Dead), at(0), 0));
    schedule.remove(id(0));
    (2..100).for_each(|n| schedule.upsert(id(n), health(State::Healthy), at(61), 0));
    let first: Vec<_> = (0..2).filter_map(|_| schedule.next(at(61))).collect();
    assert!(first.contains(&id(1)));
}
