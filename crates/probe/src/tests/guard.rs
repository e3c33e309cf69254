//! What the guard believes.

use hezar_core::Fault;
use hezar_pool::Failure;

use super::*;
use crate::{ControlResult, Decision, FailureEvidence, Guard, GuardConfig, GuardState};

fn doubt(n: u32) -> FailureEvidence {
    FailureEvidence {
        id: id(n),
        failure: Failure { fault: Fault::Node, stage: Stage::Connect, code: "refused".into() },
        was_healthy: true,
        lethal: false,
        started: at(1000),
        failed_last: None,
        routable: 20,
    }
}

fn guard(controls: bool) -> Guard {
    Guard::new(GuardConfig::default(), controls)
}

/// Failures of healthy nodes until the brake is pulled; returns how many counted.
fn trip(guard: &mut Guard, seconds: u64) -> u32 {
    (0..).find(|n| guard.failure(&doubt(*n), at(seconds)) == Decision::Hold).unwrap()
}

#[test]
fn single_failures_count() {
    let mut guard = guard(true);
    for n in 0..200 {
        guard.success(id(n), true, at(u64::from(n)), at(u64::from(n)));
        if n % 3 == 0 {
            assert_eq!(guard.failure(&doubt(n), at(u64::from(n))), Decision::Apply);
        }
    }
    assert_eq!(guard.state(), GuardState::Open);
}

#[test]
fn the_brake_is_pulled_when_most_fail_at_once() {
    let mut guard = guard(true);
    (0..12).for_each(|n| drop(guard.success(id(n), true, at(0), at(0))));
    assert_eq!(trip(&mut guard, 1), 12, "the 13th of 25 makes it more than half");
    assert_eq!((guard.state(), guard.held()), (GuardState::Holding, 1));
    assert_eq!(guard.failure(&FailureEvidence { was_healthy: false, ..doubt(99) }, at(1)), Decision::Hold);
}

#[test]
fn an_old_success_does_not_soften_a_sudden_loss() {
    let mut guard = guard(true);
    (0..1000).for_each(|n| drop(guard.success(id(n), true, at(0), at(0))));
    assert!(trip(&mut guard, 1) <= 17, "only the last 32 verdicts matter");
    let mut guard = self::guard(true);
    (0..1000).for_each(|n| drop(guard.success(id(n), true, at(0), at(0))));
    assert!(trip(&mut guard, 60) <= 8, "and only those of the window");
}

#[test]
fn a_working_uplink_lets_the_failures_count() {
    let mut guard = guard(true);
    trip(&mut guard, 1);
    assert!(guard.begin_check(at(1)));
    assert!(!guard.begin_check(at(1)), "one at a time");
    assert_eq!(guard.control(ControlResult::Up, at(2)).len(), 1);
    assert_eq!((guard.state(), guard.held()), (GuardState::Open, 0));
    for n in 0..100 {
        assert_eq!(guard.failure(&doubt(n), at(3)), Decision::Apply, "real mass death is accepted");
    }
    let later = (0..100).find(|n| guard.failure(&doubt(*n), at(18)) == Decision::Hold);
    assert_eq!(later, Some(0), "trust ends, and the uplink is looked at again");
}

#[test]
fn an_outage_drops_what_was_held() {
    for found in [ControlResult::UplinkDown, ControlResult::UrlDown] {
        let mut guard = guard(true);
        trip(&mut guard, 1);
        assert!(guard.begin_check(at(1)));
        assert!(guard.control(found, at(2)).is_empty());
        assert_eq!((guard.state(), guard.held()), (GuardState::Outage, 0));
        assert_eq!(guard.failure(&doubt(1), at(3)), Decision::Hold);
        assert!(!guard.begin_check(at(5)), "the next look begins five seconds after the last");
        assert!(guard.begin_check(at(6)));
        assert!(guard.control(ControlResult::Up, at(7)).is_empty());
        assert_eq!((guard.state(), guard.held()), (GuardState::Open, 0));
    }
}

#[test]
fn a_success_that_began_later_ends_an_outage() {
    let mut guard = guard(true);
    trip(&mut guard, 5);
    guard.begin_check(at(5));
    guard.control(ControlResult::UplinkDown, at(6));
    guard.success(id(1), true, at(4), at(7));
    assert_eq!(guard.state(), GuardState::Outage, "that one got out before the outage");
    guard.success(id(1), true, at(6), at(7));
    assert_eq!(guard.state(), GuardState::Open);
}

#[test]
fn without_controls_a_later_success_is_the_witness() {
    let mut guard = guard(false);
    trip(&mut guard, 5);
    assert!(!guard.begin_check(at(100)) && guard.next_check().is_none());
    (0..500).for_each(|n| assert_eq!(guard.failure(&doubt(n), at(300)), Decision::Hold));
    assert!(guard.success(id(900), true, at(4), at(301)).is_empty(), "it began before");
    assert_eq!(guard.held(), 500);
    let freed = guard.success(id(7), false, at(301), at(302));
    assert_eq!(freed.len(), 499, "all but the one that works after all");
    assert_eq!(guard.state(), GuardState::Open);
}

#[test]
fn the_last_blow_needs_a_witness() {
    let lethal =
        FailureEvidence { was_healthy: false, lethal: true, failed_last: Some(at(10)), started: at(25), ..doubt(1) };
    let mut guard = guard(false);
    guard.success(id(2), true, at(9), at(9));
    assert_eq!(guard.failure(&lethal, at(30)), Decision::Hold, "nothing has succeeded since it failed");
    let freed = guard.success(id(2), true, at(31), at(31));
    assert_eq!(freed.len(), 1);
    assert_eq!(guard.failure(&FailureEvidence { started: at(32), ..lethal }, at(33)), Decision::Apply, "but now");
    let mut guard = self::guard(false);
    (11..40).for_each(|second| drop(guard.success(id(2), true, at(second), at(second + 1))));
    assert_eq!(guard.failure(&lethal, at(30)), Decision::Apply);
    let mut guard = self::guard(false);
    guard.success(id(2), true, at(26), at(27));
    assert_eq!(guard.failure(&lethal, at(30)), Decision::Hold, "the probe may have begun in an outage that is over");
    let mut guard = self::guard(false);
    assert_eq!(
        guard.failure(&FailureEvidence { routable: 3, ..lethal }, at(30)),
        Decision::Apply,
        "a handful may well die"
    );
    let mut guard = self::guard(true);
    assert_eq!(
        guard.failure(&FailureEvidence { routable: 1, ..lethal }, at(30)),
        Decision::Hold,
        "unless it can be checked"
    );
}

#[test]
fn trust_goes_no_further_than_what_was_seen() {
    let lethal =
        |failed| FailureEvidence { was_healthy: false, lethal: true, failed_last: failed, started: at(40), ..doubt(1) };
    let mut guard = guard(true);
    trip(&mut guard, 30);
    guard.control(ControlResult::Up, at(31));
    assert_eq!(guard.failure(&lethal(Some(at(30))), at(40)), Decision::Apply);
    assert_eq!(guard.failure(&lethal(None), at(40)), Decision::Apply, "its other failures were of traffic");
    assert_eq!(
        guard.failure(&lethal(Some(at(35))), at(40)),
        Decision::Hold,
        "it failed since the uplink was seen to work"
    );
    assert_eq!(guard.state(), GuardState::Holding);
}

#[test]
fn what_began_in_doubt_proves_nothing_however_late_it_ends() {
    for outage in [false, true] {
        let mut guard = guard(true);
        trip(&mut guard, 30);
        if outage {
            guard.control(ControlResult::UplinkDown, at(31));
        }
        guard.control(ControlResult::Up, at(60));
        let of = |began| FailureEvidence { lethal: true, started: at(began), ..doubt(7) };
        assert_eq!(guard.failure(&of(59), at(64)), Decision::Discard, "outage: {outage}");
        assert_eq!((guard.state(), guard.held()), (GuardState::Open, 0));
        assert_ne!(guard.failure(&of(60), at(64)), Decision::Discard);
    }
}

#[test]
fn nothing_but_failures_from_the_start_is_doubted_when_that_can_be_checked() {
    let new = |n| FailureEvidence { was_healthy: false, routable: 0, ..doubt(n) };
    let mut with = guard(true);
    assert_eq!((0..100).find(|n| with.failure(&new(*n), at(1)) == Decision::Hold), Some(31));
    let mut without = guard(false);
    assert!((0..100).all(|n| without.failure(&new(n), at(1)) == Decision::Apply));
}
