//! Bytes are counted once, on their day, and held against quotas.

use hezar_core::settings::ByteCount;
use proptest::prelude::*;

use super::*;
use crate::{Quota, QuotaPeriod, Refusal};

const DAY: u64 = 86_400_000;

fn noon(date: &str) -> Timestamp {
    Timestamp(u64::from(date.parse::<UtcDay>().unwrap().0) * DAY + DAY / 2)
}

fn bytes(up: u64, down: u64) -> UsedBytes {
    UsedBytes { up, down }
}

fn quota(day: Option<u64>, month: Option<u64>, total: Option<u64>) -> Quota {
    Quota { day: day.map(ByteCount), month: month.map(ByteCount), total: total.map(ByteCount) }
}

#[test]
fn days_and_months_begin_anew_and_the_total_stays() {
    let (usage, now) = (Usage::default(), noon("2026-11-29"));
    usage.restore([
        UserDay { user: "alice".into(), day: UtcDay::default(), bytes: bytes(1, 1000) },
        UserDay { user: "alice".into(), day: "2026-10-31".parse().unwrap(), bytes: bytes(0, 300) },
        UserDay { user: "alice".into(), day: "2026-11-01".parse().unwrap(), bytes: bytes(0, 20) },
    ]);
    let account = usage.account("alice");
    account.add(2, 5);
    let summary = usage.summary("alice", now);
    assert_eq!((summary.today, summary.month, summary.total), (bytes(2, 5), bytes(2, 25), bytes(3, 1325)));
    account.add(0, 7);
    let next = usage.summary("alice", noon("2026-11-30"));
    assert_eq!((next.today, next.month.down), (bytes(0, 7), 32));
    let december = usage.summary("alice", noon("2026-12-01"));
    assert_eq!((december.today, december.month, december.total.down), (bytes(0, 0), bytes(0, 0), 1332));
    assert_eq!(usage.summary("nobody", now), UsageSummary::default());
}

#[test]
fn each_byte_is_handed_to_the_store_once() {
    let (usage, now) = (Usage::default(), noon("2026-11-29"));
    usage.restore([UserDay { user: "alice".into(), day: UtcDay::containing(now), bytes: bytes(1, 1) }]);
    usage.account("alice").add(3, 4);
    let row = |bytes| UserDay { user: "alice".into(), day: UtcDay::containing(now), bytes };
    assert_eq!(usage.take_growth(now), [row(bytes(3, 4))], "what the store held is not told again");
    assert!(usage.take_growth(now).is_empty());
    assert_eq!(usage.recent_days(now), [row(bytes(4, 5))]);
}

#[test]
fn a_quota_ends_where_its_shortest_period_ends() {
    let (usage, now) = (Usage::default(), noon("2026-11-29"));
    let account = usage.account("alice");
    let check = |quota: Quota, now| account.check(&quota, now);
    assert!(check(quota(None, None, None), now).is_ok());
    assert_eq!(account.left(), u64::MAX);
    let limits = quota(Some(100), Some(150), Some(1000));
    assert!(check(limits, now).is_ok());
    account.add(40, 59);
    assert_eq!(account.left(), 1, "without another check");
    account.add(0, 10);
    assert_eq!(account.left(), 0);
    assert!(matches!(check(limits, now), Err(Refusal::QuotaExceeded(QuotaPeriod::Day))));
    let tomorrow = noon("2026-11-30");
    assert!(check(limits, tomorrow).is_ok());
    assert_eq!(account.left(), 41, "the month");
    account.add(41, 0);
    assert!(matches!(check(limits, tomorrow), Err(Refusal::QuotaExceeded(QuotaPeriod::Month))));
    assert!(check(limits, noon("2026-12-01")).is_ok());
    assert!(matches!(
        check(quota(None, None, Some(150)), noon("2026-12-01")),
        Err(Refusal::QuotaExceeded(QuotaPeriod::Total))
    ));
    assert!(check(quota(None, None, Some(151)), noon("2026-12-01")).is_ok(), "a larger quota opens again");
}

#[test]
fn what_other_processes_have_moved_counts_once() {
    let (usage, now) = (Usage::default(), noon("2026-11-29"));
    let (account, day) = (usage.account("alice"), UtcDay::containing(now));
    let stored = |bytes| UserDay { user: "alice".into(), day, bytes };
    let limits = quota(Some(100), None, None);
    account.add(10, 0);
    assert!(account.check(&limits, now).is_ok());
    usage.adopt(stored(bytes(30, 5)), UsedBytes::default());
    assert_eq!(usage.summary("alice", now).today, bytes(40, 5), "what is not written yet comes on top");
    let [grown] = &usage.take_growth(now)[..] else { panic!() };
    usage.adopt(stored(bytes(30, 5)), grown.bytes);
    assert_eq!(usage.summary("alice", now).today, bytes(40, 5), "it is on its way");
    usage.adopt(stored(bytes(40, 5)), UsedBytes::default());
    usage.adopt(stored(bytes(30, 5)), UsedBytes::default());
    assert_eq!(usage.summary("alice", now).today, bytes(40, 5), "what was read late takes nothing back");
    assert!(account.check(&limits, now).is_ok());
    assert_eq!(account.left(), 55);
    usage.adopt(stored(bytes(90, 15)), UsedBytes::default());
    assert!(account.check(&limits, now).is_err(), "others have used it up");
    usage.adopt(UserDay { day: UtcDay::default(), ..stored(bytes(7, 0)) }, UsedBytes::default());
    assert_eq!(usage.summary("alice", now).total, bytes(97, 15));
    assert!(usage.take_growth(now).is_empty(), "it is none of this process's growth");
}

#[test]
fn near_the_end_of_a_quota_growth_is_urgent() {
    let (usage, now) = (Usage::default(), noon("2026-11-29"));
    let account = usage.account("alice");
    account.add(500, 0);
    assert!(usage.unwritten_share() < 1e-9, "without a quota nothing is urgent");
    let limits = quota(Some(1000), None, None);
    assert!(account.check(&limits, now).is_ok());
    drop(usage.take_growth(now));
    assert!(usage.unwritten_share() < 1e-9);
    account.add(50, 0);
    assert!((usage.unwritten_share() - 0.1).abs() < 1e-9);
    drop(usage.take_growth(now));
    account.add(225, 0);
    assert!((usage.unwritten_share() - 0.5).abs() < 1e-9);
}

proptest! {
    /// Whatever moves on which day, in whatever order it is booked: growth, days and the total agree.
    #[test]
    fn nothing_is_lost_or_counted_twice(
        moves in proptest::collection::vec((0..200_u32, 0..1000_u64, 0..1000_u64, any::<bool>()), 0..60)
    ) {
        let (usage, mut day, mut expected, mut told) = (Usage::default(), 20_000, UsedBytes::default(), UsedBytes::default());
        let account = usage.account("alice");
        for (days, up, down, takes) in moves {
            day += days;
            let now = Timestamp(u64::from(day) * DAY);
            account.add(up, down);
            expected.add(bytes(up, down));
            prop_assert_eq!(usage.summary("alice", now).total, expected);
            if takes {
                usage.take_growth(now).into_iter().for_each(|grown| told.add(grown.bytes));
                prop_assert_eq!(told, expected);
            }
        }
    }
}
