//! The associations of one connection. Each has a number and a bounded queue of received datagrams.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The most datagrams that wait for a slow reader. More are dropped, as UDP allows.
const MOST_WAITING: usize = 256;

/// The associations by their numbers.
#[derive(Debug)]
pub(crate) struct DatagramQueues<K, T>(Mutex<QueueTable<K, T>>);

#[derive(Debug)]
struct QueueTable<K, T> {
    queues: HashMap<K, Sender<T>>,
    next: u32,
    /// Whether a task reads the connection's datagrams.
    read: bool,
    /// Whether the connection has ended.
    over: bool,
}

impl<K, T> Default for DatagramQueues<K, T> {
    fn default() -> Self {
        Self(Mutex::new(QueueTable { queues: HashMap::new(), next: 0, read: false, over: false }))
    }
}

/// One association's end of its queue; its number is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct DatagramQueue<K: Copy + Eq + Hash, T> {
    /// The number.
    pub(crate) id: K,
    /// The datagrams that it has received.
    queue: Mutex<Receiver<T>>,
    all: Arc<DatagramQueues<K, T>>,
}

impl<K: Copy + Eq + Hash, T> DatagramQueues<K, T> {
    /// Adds an association; `number` derives its number from a counter. `None` when all numbers are taken or the connection
    /// has ended. The second value is true when no task reads the connection's datagrams yet: the caller has to start one.
    pub(crate) fn add(self: &Arc<Self>, number: impl Fn(u32) -> K) -> Option<(DatagramQueue<K, T>, bool)> {
        let (sender, receiver) = channel(MOST_WAITING);
        let mut state = self.0.lock();
        if state.over {
            return None;
        }
        let free = (0..=state.queues.len()).find_map(|_| {
            state.next = state.next.wrapping_add(1);
            let id = number(state.next);
            (!state.queues.contains_key(&id)).then_some(id)
        });
        let id = free?;
        state.queues.insert(id, sender);
        let unread = !std::mem::replace(&mut state.read, true);
        drop(state);
        Some((DatagramQueue { id, queue: Mutex::new(receiver), all: Arc::clone(self) }, unread))
    }

    /// Adds an association with the number that the other side has given it, with room for `waiting` datagrams. `None` when there are
    /// `most` associations already, the number is taken, or the connection has ended.
    pub(crate) fn add_numbered(self: &Arc<Self>, id: K, most: usize, waiting: usize) -> Option<DatagramQueue<K, T>> {
        let mut state = self.0.lock();
        if state.over || state.queues.len() >= most || state.queues.contains_key(&id) {
            return None;
        }
        let (sender, receiver) = channel(waiting);
        state.queues.insert(id, sender);
        drop(state);
        Some(DatagramQueue { id, queue: Mutex::new(receiver), all: Arc::clone(self) })
    }

    /// Puts a datagram into its association's queue; it is lost when the queue is full. Gives it back when the number is unknown.
    pub(crate) fn deliver(&self, id: K, datagram: T) -> Option<T> {
        let state = self.0.lock();
        let Some(queue) = state.queues.get(&id) else { return Some(datagram) };
        let _ = queue.try_send(datagram);
        None
    }

    /// Ends every queue because the connection has ended.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        state.over = true;
        state.queues.clear();
    }
}

impl<K: Copy + Eq + Hash, T> DatagramQueue<K, T> {
    /// The next datagram; `None` when the connection has ended.
    pub(crate) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.queue.lock().poll_recv(cx)
    }
}

impl<K: Copy + Eq + Hash, T> Drop for DatagramQueue<K, T> {
    fn drop(&mut self) {
        self.all.0.lock().queues.remove(&self.id);
    }
}
