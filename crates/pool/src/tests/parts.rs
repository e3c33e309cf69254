//! The containers behave like the plain ones that they stand for.

use std::collections::BTreeSet;

use hezar_core::{ExitKey, NodeId, ServerKey, SessionKey};
use proptest::prelude::*;

use crate::{
    index::{chunked::Chunked, sorted::Sorted},
    sessions::{SessionPin, SessionTable},
};

proptest! {
    #[test]
    fn a_chunked_vector_is_a_vector(steps in prop::collection::vec((0..3_u8, 0..64_usize, any::<u32>()), 0..500)) {
        let (mut model, mut chunked) = (Vec::new(), Chunked::<u32, 2>::new());
        let mut copies = Vec::new();
        for (step, index, value) in steps {
            match step {
                0 | 1 => {
                    model.push(value);
                    chunked.push(value);
                }
                _ if index < model.len() => {
                    prop_assert_eq!(Some(model.swap_remove(index)), chunked.swap_remove(index));
                }
                _ => prop_assert_eq!(chunked.swap_remove(index.max(model.len())), None),
            }
            copies.push((model.clone(), chunked.clone()));
        }
        for (model, chunked) in copies {
            prop_assert_eq!(model.len(), chunked.len());
            prop_assert!(chunked.iter().eq(model.iter()));
            prop_assert_eq!(chunked.get(model.len()), None);
        }
    }

    #[test]
    fn a_sorted_set_is_a_sorted_set(steps in prop::collection::vec((any::<bool>(), 0..2000_u64), 0..3000), probes in prop::collection::vec(0..2100_u64, 20)) {
        let (mut model, mut sorted) = (BTreeSet::new(), Sorted::default());
        for (add, key) in steps {
            if add {
                model.insert(key);
                sorted.insert(key);
            } else {
                model.remove(&key);
                sorted.remove(key);
            }
        }
        prop_assert!(sorted.from(0).eq(model.iter().copied()));
        for probe in probes {
            prop_assert!(sorted.from(probe).eq(model.range(probe..).copied()));
            let next = model.range(probe..).next().or_else(|| model.first()).copied();
            prop_assert_eq!(sorted.at_or_after(probe), next);
        }
    }
}

/// Branches fill up, are split, shrink and are joined, which a few thousand numbers do not show.
#[test]
fn a_large_sorted_set_is_a_sorted_set() {
    let (mut model, mut sorted) = (BTreeSet::new(), Sorted::default());
    let number = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    for round in 0..4 {
        for n in 0..60_000 {
            let key = number(n * 7 + round);
            model.insert(key);
            sorted.insert(key);
        }
        let held = sorted.clone();
        assert!(held.branch_count() > 2, "{} branches", held.branch_count());
        for key in model.iter().copied().filter(|key| key % 16 != round).collect::<Vec<_>>() {
            model.remove(&key);
            sorted.remove(key);
        }
        assert!(sorted.from(0).eq(model.iter().copied()));
        for probe in (0..1_100_000).step_by(997) {
            let next = model.range(probe..).next().or_else(|| model.first()).copied();
            assert_eq!(sorted.at_or_after(probe), next);
        }
        assert!(held.from(0).count() > 40_000, "a copy stays as it was");
    }
}

/// Every report of a node publishes a copy.
#[test]
fn copies_of_large_tables_are_short() {
    let (mut in_order, mut mixed, mut at_once, mut chunked) =
        (Sorted::default(), Sorted::default(), Sorted::default(), Chunked::<u32, 32>::new());
    for n in 0..200_000_u32 {
        in_order.insert(n.into());
        mixed.insert(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        chunked.push(n);
    }
    at_once.insert_all((0..200_000).collect());
    let lengths = [in_order.branch_count(), mixed.branch_count(), at_once.branch_count(), chunked.branch_count()];
    assert!(lengths.iter().all(|length| *length < 100), "{lengths:?}");
}

#[test]
fn a_sorted_set_leaves_no_dust() {
    let mut sorted = Sorted::default();
    (0..100_000).for_each(|key| sorted.insert(key));
    (0..100_000).filter(|key| key % 100 != 0).for_each(|key| sorted.remove(key));
    assert_eq!(sorted.from(0).count(), 1000);
    assert!(sorted.chunk_count() < 100, "{} chunks", sorted.chunk_count());
}

#[test]
fn sessions_are_bounded_and_keep_the_used_ones() {
    let sessions = SessionTable::new(16 * 100);
    let pin = |slot| SessionPin { slot, id: NodeId::from_bytes([0; 16]), exit: ExitKey::from_server(ServerKey(1)) };
    // All in one part of the table: the top bits choose it.
    for session in (0..1000).map(SessionKey) {
        let mut shard = sessions.shard(session);
        shard.set(session, pin(session.0 as u32));
        assert_eq!(shard.get(SessionKey(0)), Some(pin(0)), "used all the time, so kept");
    }
    let mut shard = sessions.shard(SessionKey(0));
    let kept = (0..1000).filter(|session| shard.get(SessionKey(*session)).is_some()).count();
    assert_eq!(kept, 100);
}
