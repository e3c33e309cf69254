//! Who is blamed for a page that came changed, or not at all.

use hezar_core::{NetworkKey, hash64};

use super::*;
use crate::tamper_tracker::{Blame, MISSES, Observer, TamperTracker};

const PAGE: usize = 0;
const BODY: &str = "tampered-body";

/// Node `n`, which comes out of a network of its own.
fn who(n: u32) -> Observer {
    Observer { id: id(n), network: NetworkKey(u64::from(n)) }
}

fn brings(tamper_tracker: &mut TamperTracker, n: u32, bytes: &str, seconds: u64) -> Blame {
    tamper_tracker.changed(who(n), PAGE, (BODY, hash64(bytes.as_bytes())), at(seconds)).0
}

#[test]
fn others_bring_the_right_page() {
    let mut tamper_tracker = TamperTracker::default();
    assert_eq!(brings(&mut tamper_tracker, 1, "ad", 0), Blame::Nobody, "nobody has brought the right one yet");
    let blamed = tamper_tracker.intact(who(2), PAGE, at(1));
    assert_eq!(blamed.quarantine, [(id(1), BODY)]);
    assert_eq!(brings(&mut tamper_tracker, 3, "another ad", 2), Blame::Node);
    assert!(tamper_tracker.intact(who(4), PAGE, at(3)).quarantine.is_empty(), "nobody is blamed twice");
    assert_eq!(brings(&mut tamper_tracker, 5, "ad", 1000), Blame::Nobody, "that was long ago");
    tamper_tracker.forget(id(5));
    assert!(tamper_tracker.intact(who(6), PAGE, at(1001)).quarantine.is_empty());
    // Neighbours in one network are one observation: an operator does not bear witness for himself.
    let mut tamper_tracker = TamperTracker::default();
    tamper_tracker.intact(Observer { id: id(1), network: NetworkKey(7) }, PAGE, at(0));
    let neighbour = Observer { id: id(2), network: NetworkKey(7) };
    assert_eq!(tamper_tracker.changed(neighbour, PAGE, (BODY, 1), at(1)).0, Blame::Nobody);
}

#[test]
fn a_page_that_has_changed_is_no_nodes_fault() {
    for count in [3, 10, 200_u32] {
        let mut tamper_tracker = TamperTracker::default();
        (0..count).for_each(|n| drop(tamper_tracker.intact(who(n), PAGE, at(u64::from(n) % 60))));
        // The page changes, and one node after the other brings the new one.
        let (mut quarantined, mut told) = (Vec::new(), 0);
        for n in 0..count {
            let (blame, consequences) = tamper_tracker.changed(who(n), PAGE, (BODY, 5), at(60 + u64::from(n) % 60));
            if blame == Blame::Node {
                quarantined.push(id(n));
            }
            told += usize::from(consequences.page_changed);
            quarantined.retain(|id| !consequences.release.contains(id));
        }
        assert!(quarantined.is_empty(), "{count}: whoever was blamed before it was clear is let out");
        assert_eq!(told, 1, "it is said once");
        assert_eq!(brings(&mut tamper_tracker, 0, "anything", 130), Blame::Page, "nothing is left to compare with");
        // It becomes the right one again.
        assert!(tamper_tracker.intact(who(1), PAGE, at(200)).quarantine.is_empty() || count == 3);
    }
    // A page that is another one at every look.
    let mut tamper_tracker = TamperTracker::default();
    let blames: Vec<_> = (0..20).map(|n| brings(&mut tamper_tracker, n, &format!("page {n}"), 0)).collect();
    assert!(!blames.contains(&Blame::Node));
    assert_eq!(blames.last(), Some(&Blame::Page));
}

#[test]
fn an_operator_with_most_of_the_nodes_is_found_out() {
    let mut tamper_tracker = TamperTracker::default();
    let mut caught = std::collections::HashSet::new();
    for round in 0..5_u64 {
        for n in 0..100_u32 {
            let now = at(round * 60 + u64::from(n) % 50);
            if n % 5 > 1 {
                if tamper_tracker.changed(who(n), PAGE, (BODY, 5), now).0 == Blame::Node {
                    caught.insert(n);
                }
            } else {
                caught.extend(
                    tamper_tracker
                        .intact(who(n), PAGE, now)
                        .quarantine
                        .iter()
                        .filter_map(|(blamed, _)| (0..100).find(|n| id(*n) == *blamed)),
                );
            }
        }
    }
    assert_eq!(caught.len(), 60, "as long as some bring the right page, it has not changed");
    assert!(caught.iter().all(|n| n % 5 > 1));
}

#[test]
fn a_node_that_repeatedly_misses_what_others_deliver_is_to_blame() {
    let mut tamper_tracker = TamperTracker::default();
    for round in 1..=MISSES {
        tamper_tracker.missed(who(1), at(u64::from(round) * 60));
        tamper_tracker.missed(who(1), at(u64::from(round) * 60 + 1));
        let guilty = tamper_tracker.delivered(who(2), at(u64::from(round) * 60 + 2));
        assert_eq!(guilty.is_empty(), round < MISSES, "round {round}");
    }
    // Once is enough to be free of it.
    tamper_tracker.delivered(who(1), at(500));
    tamper_tracker.missed(who(1), at(501));
    assert!(tamper_tracker.delivered(who(2), at(502)).is_empty());
}

#[test]
fn a_page_that_cannot_be_reached_is_no_nodes_fault() {
    // Nobody brings it.
    let mut tamper_tracker = TamperTracker::default();
    for round in 0..20 {
        (0..10).for_each(|n| tamper_tracker.missed(who(n), at(round * 60)));
        assert!(!tamper_tracker.others_deliver(who(11), at(round * 60)));
    }
    assert!(
        tamper_tracker.delivered(who(0), at(1200)).is_empty(),
        "the first one that brings it speaks against nobody"
    );
    // It comes and goes.
    for round in 0..20_u64 {
        let now = at(2000 + round * 60);
        for n in 0..10_u32 {
            let guilty = match (round + u64::from(n)) % 2 {
                0 => tamper_tracker.delivered(who(n), now),
                _ => {
                    tamper_tracker.missed(who(n), now);
                    Vec::new()
                }
            };
            assert!(guilty.is_empty(), "round {round}");
        }
    }
}
