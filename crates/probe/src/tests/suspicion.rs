//! Who is blamed for a page that came changed, or not at all.

use super::*;
use crate::suspicion::{Blame, MISSES, Suspicion, Witness, digest};

const PAGE: usize = 0;
const BODY: &str = "tampered-body";

/// Node `n`, which comes out of a network of its own.
fn who(n: u32) -> Witness {
    Witness { id: id(n), network: u64::from(n) }
}

fn brings(suspicion: &mut Suspicion, n: u32, bytes: &str, seconds: u64) -> Blame {
    suspicion.changed(who(n), PAGE, (BODY, digest(bytes)), at(seconds)).0
}

#[test]
fn others_bring_the_right_page() {
    let mut suspicion = Suspicion::default();
    assert_eq!(brings(&mut suspicion, 1, "ad", 0), Blame::Nobody, "nobody has brought the right one yet");
    let blamed = suspicion.intact(who(2), PAGE, at(1));
    assert_eq!(blamed.quarantine, [(id(1), BODY)]);
    assert_eq!(brings(&mut suspicion, 3, "another ad", 2), Blame::Node);
    assert!(suspicion.intact(who(4), PAGE, at(3)).quarantine.is_empty(), "nobody is blamed twice");
    assert_eq!(brings(&mut suspicion, 5, "ad", 1000), Blame::Nobody, "that was long ago");
    suspicion.forget(id(5));
    assert!(suspicion.intact(who(6), PAGE, at(1001)).quarantine.is_empty());
    // Neighbours in one network are one voice: an operator does not bear witness for himself.
    let mut suspicion = Suspicion::default();
    suspicion.intact(Witness { id: id(1), network: 7 }, PAGE, at(0));
    let neighbour = Witness { id: id(2), network: 7 };
    assert_eq!(suspicion.changed(neighbour, PAGE, (BODY, 1), at(1)).0, Blame::Nobody);
}

#[test]
fn a_page_that_has_changed_is_no_nodes_fault() {
    for count in [3, 10, 200_u32] {
        let mut suspicion = Suspicion::default();
        (0..count).for_each(|n| drop(suspicion.intact(who(n), PAGE, at(u64::from(n) % 60))));
        // The page changes, and one node after the other brings the new one.
        let (mut quarantined, mut told) = (Vec::new(), 0);
        for n in 0..count {
            let (blame, consequences) = suspicion.changed(who(n), PAGE, (BODY, 5), at(60 + u64::from(n) % 60));
            if blame == Blame::Node {
                quarantined.push(id(n));
            }
            told += usize::from(consequences.page_changed);
            quarantined.retain(|id| !consequences.release.contains(id));
        }
        assert!(quarantined.is_empty(), "{count}: whoever was blamed before it was clear is let out");
        assert_eq!(told, 1, "it is said once");
        assert_eq!(brings(&mut suspicion, 0, "anything", 130), Blame::Page, "nothing is left to compare with");
        // It becomes the right one again.
        assert!(suspicion.intact(who(1), PAGE, at(200)).quarantine.is_empty() || count == 3);
    }
    // A page that is another one at every look.
    let mut suspicion = Suspicion::default();
    let blames: Vec<_> = (0..20).map(|n| brings(&mut suspicion, n, &format!("page {n}"), 0)).collect();
    assert!(!blames.contains(&Blame::Node));
    assert_eq!(blames.last(), Some(&Blame::Page));
}

#[test]
fn an_operator_with_most_of_the_nodes_is_found_out() {
    let mut suspicion = Suspicion::default();
    let mut caught = std::collections::HashSet::new();
    for round in 0..5_u64 {
        for n in 0..100_u32 {
            let now = at(round * 60 + u64::from(n) % 50);
            if n % 5 > 1 {
                if suspicion.changed(who(n), PAGE, (BODY, 5), now).0 == Blame::Node {
                    caught.insert(n);
                }
            } else {
                caught.extend(
                    suspicion
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
fn who_misses_again_and_again_what_others_bring_is_guilty() {
    let mut suspicion = Suspicion::default();
    for round in 1..=MISSES {
        suspicion.missed(who(1), at(u64::from(round) * 60));
        suspicion.missed(who(1), at(u64::from(round) * 60 + 1));
        let guilty = suspicion.arrived(who(2), at(u64::from(round) * 60 + 2));
        assert_eq!(guilty.is_empty(), round < MISSES, "round {round}");
    }
    // Once is enough to be free of it.
    suspicion.arrived(who(1), at(500));
    suspicion.missed(who(1), at(501));
    assert!(suspicion.arrived(who(2), at(502)).is_empty());
}

#[test]
fn a_page_that_cannot_be_reached_is_no_nodes_fault() {
    // Nobody brings it.
    let mut suspicion = Suspicion::default();
    for round in 0..20 {
        (0..10).for_each(|n| suspicion.missed(who(n), at(round * 60)));
        assert!(!suspicion.others_bring(who(11), at(round * 60)));
    }
    assert!(suspicion.arrived(who(0), at(1200)).is_empty(), "the first one that brings it speaks against nobody");
    // It comes and goes.
    for round in 0..20_u64 {
        let now = at(2000 + round * 60);
        for n in 0..10_u32 {
            let guilty = match (round + u64::from(n)) % 2 {
                0 => suspicion.arrived(who(n), now),
                _ => {
                    suspicion.missed(who(n), now);
                    Vec::new()
                }
            };
            assert!(guilty.is_empty(), "round {round}");
        }
    }
}
