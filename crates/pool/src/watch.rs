//! A coalescing list of the nodes that changed, for whoever keeps something beside the pool.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    future::{Future, poll_fn},
    sync::{Arc, Weak},
    task::{Poll, Waker},
};

use arc_swap::ArcSwap;
use hezar_core::NodeId;
use parking_lot::Mutex;

/// How much of a node changed. Each word includes those before it, except that a removed node has nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A measurement in its record.
    Record,
    /// Its state, or whether it is supported.
    State,
    /// Its sources, its permission or its display name.
    Listing,
    /// The same, and no source had listed it before: somebody says again that it works.
    Relisted,
    /// It is new in the pool.
    Added,
    /// It has left the pool and has come back as a new node: nothing of what was known before holds.
    Replaced,
    /// It has left the pool.
    Removed,
}

/// A node that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedNode {
    /// Which one.
    pub id: NodeId,
    /// How much of it, over all the changes since it was last taken.
    pub kind: ChangeKind,
}

/// The changed nodes since the last [`Watch::take`], each once. It grows to the number of nodes at most, plus those
/// removed meanwhile. For one consumer; dropping it ends the watching.
#[derive(Debug)]
pub struct Watch {
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    least: ChangeKind,
    /// Whether changes that were taken over from other processes are left out.
    own_only: bool,
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    order: VecDeque<NodeId>,
    kinds: HashMap<NodeId, ChangeKind, ahash::RandomState>,
    waker: Option<Waker>,
}

impl Watch {
    /// Takes at most `limit` changed nodes, those that changed first in front.
    #[must_use]
    pub fn take(&self, limit: usize) -> Vec<ChangedNode> {
        let mut pending = self.queue.pending.lock();
        let count = limit.min(pending.order.len());
        let mut taken = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(id) = pending.order.pop_front() else { break };
            if let Some(kind) = pending.kinds.remove(&id) {
                taken.push(ChangedNode { id, kind });
            }
        }
        if pending.order.is_empty() {
            // After a large change the room is given back.
            pending.order.shrink_to(64);
            pending.kinds.shrink_to(64);
        }
        taken
    }

    /// Puts the changed nodes that wait now into the order of their ids: a store that keeps its rows in that order writes
    /// many of them much faster. What changes afterwards comes behind them.
    pub fn sort(&self) {
        self.queue.pending.lock().order.make_contiguous().sort_unstable();
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.pending.lock().order.is_empty()
    }

    /// How much of a node has changed, if it has.
    #[must_use]
    pub fn pending(&self, id: NodeId) -> Option<ChangeKind> {
        self.queue.pending.lock().kinds.get(&id).copied()
    }

    /// The number of changed nodes waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.pending.lock().order.len()
    }

    /// Waits until something changed. Works in every runtime; only one waiter at a time is woken.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|context| {
            let mut pending = self.queue.pending.lock();
            if !pending.order.is_empty() {
                return Poll::Ready(());
            }
            pending.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

/// The pool's side of its watches.
#[derive(Debug)]
pub(crate) struct Watchers {
    list: ArcSwap<Vec<Weak<Queue>>>,
}

impl Watchers {
    pub(crate) fn new() -> Self {
        Self { list: ArcSwap::from_pointee(Vec::new()) }
    }

    /// A new watch for changes of at least this size.
    pub(crate) fn subscribe(&self, least: ChangeKind) -> Watch {
        self.add(Queue { least, own_only: false, pending: Mutex::default() })
    }

    /// A new watch for all changes that were made by this process.
    pub(crate) fn subscribe_own(&self) -> Watch {
        self.add(Queue { least: ChangeKind::Record, own_only: true, pending: Mutex::default() })
    }

    fn add(&self, queue: Queue) -> Watch {
        let queue = Arc::new(queue);
        self.list.rcu(|list| {
            let mut list: Vec<_> = list.iter().filter(|q| q.strong_count() > 0).cloned().collect();
            list.push(Arc::downgrade(&queue));
            list
        });
        Watch { queue }
    }

    /// Tells every watch about nodes that this process has changed.
    pub(crate) fn notify(&self, changed: &[ChangedNode]) {
        self.tell(changed, |_| true);
    }

    /// Tells the watches about nodes whose changes were taken over from other processes.
    pub(crate) fn notify_adopted(&self, changed: &[ChangedNode]) {
        self.tell(changed, |queue| !queue.own_only);
    }

    fn tell(&self, changed: &[ChangedNode], concerns: impl Fn(&Queue) -> bool) {
        if changed.is_empty() {
            return;
        }
        for queue in self.list.load().iter().filter_map(Weak::upgrade).filter(|queue| concerns(queue)) {
            queue.add(changed);
        }
    }
}

impl Queue {
    fn add(&self, changed: &[ChangedNode]) {
        let mut pending = self.pending.lock();
        for node in changed.iter().filter(|node| node.kind >= self.least) {
            pending.add(*node);
        }
        let waker = if pending.order.is_empty() { None } else { pending.waker.take() };
        drop(pending);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Pending {
    fn add(&mut self, changed: ChangedNode) {
        match self.kinds.entry(changed.id) {
            Entry::Vacant(entry) => {
                entry.insert(changed.kind);
                self.order.push_back(changed.id);
            }
            Entry::Occupied(mut entry) => {
                let known = *entry.get();
                // Removed and added again: the consumer must look at it anew. Evidence that comes late for a node that is gone
                // changes nothing.
                let back = known == ChangeKind::Removed && changed.kind == ChangeKind::Added;
                let kind = if back { ChangeKind::Replaced } else { changed.kind };
                if back || kind > known {
                    entry.insert(kind);
                }
            }
        }
    }
}
