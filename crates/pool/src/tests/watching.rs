//! A watch lists what changed, once.

use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::{Context, Poll, Wake, Waker},
};

use super::*;
use crate::{ChangeKind, ChangedNode};

fn kinds(watch: &crate::Watch) -> Vec<ChangeKind> {
    watch.take(usize::MAX).into_iter().map(|changed| changed.kind).collect()
}

#[test]
fn changes_coalesce_per_node() {
    let pool = pool();
    let (all, states) = (pool.watch(), pool.watch_states());
    pool.apply(listing("s", 0..3), at(0));
    pool.report(id(0), &ok(5), at(1));
    assert_eq!(all.len(), 3);
    assert_eq!(all.take(2), [id(0), id(1)].map(|id| ChangedNode { id, kind: ChangeKind::Added }));
    assert_eq!(kinds(&all), [ChangeKind::Added]);
    assert!(all.is_empty());
    let _ = states.take(9);
    pool.report(id(0), &ok(5), at(2));
    assert!(states.is_empty(), "a measurement only");
    pool.report(id(1), &ok(5), at(2));
    pool.mark_unsupported(id(2), "x");
    assert_eq!(kinds(&states), [ChangeKind::State, ChangeKind::State]);
    assert_eq!(kinds(&all), [ChangeKind::Record, ChangeKind::State, ChangeKind::State]);
    pool.apply(listing("s", [0, 1]), at(3));
    assert_eq!(states.take(9), [ChangedNode { id: id(2), kind: ChangeKind::Listing }]);
    pool.apply(PoolChange::Remove(vec![id(0)]), at(4));
    assert_eq!(kinds(&states), [ChangeKind::Removed]);
    pool.apply(listing("s", [0, 1]), at(5));
    assert_eq!(kinds(&states), [ChangeKind::Added]);
    pool.apply(PoolChange::Remove(vec![id(0)]), at(6));
    pool.apply(listing("s", [0, 1]), at(6));
    assert_eq!(kinds(&states), [ChangeKind::Replaced], "the new one counts");
}

#[test]
fn evidence_that_does_not_count_is_silent() {
    let pool = healthy(1);
    let watch = pool.watch();
    pool.report(id(0), &Outcome::failure(Origin::Traffic, Fault::Target, Stage::Exchange, "x"), at(2));
    pool.report(id(9), &ok(1), at(2));
    pool.apply(listing("s", [0]), at(3));
    assert!(watch.is_empty());
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_waiter_is_woken() {
    let pool = pool();
    let watch = pool.watch();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut changed = pin!(watch.changed());
    assert_eq!(changed.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
    pool.apply(listing("s", 0..5), at(0));
    assert_eq!(bell.0.load(Relaxed), 1);
    assert_eq!(changed.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
}

#[test]
fn a_dropped_watch_costs_nothing() {
    let pool = healthy(1);
    (0..100).for_each(|_| drop(pool.watch()));
    let watch = pool.watch();
    pool.report(id(0), &ok(1), at(2));
    assert_eq!(watch.len(), 1);
}

#[test]
fn a_node_that_is_listed_again_is_told_from_one_that_still_is() {
    let pool = healthy(2);
    pool.apply(listing("s", [1]), at(2));
    let watch = pool.watch_states();
    pool.apply(listing("s", [0, 1]), at(3));
    assert_eq!(watch.take(9), [ChangedNode { id: id(0), kind: ChangeKind::Relisted }]);
    pool.apply(listing("t", [0]), at(4));
    assert_eq!(watch.take(9), [ChangedNode { id: id(0), kind: ChangeKind::Listing }]);
}
