//! Events for clients that watch: the last ones are kept, so that a client that comes back misses none.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, broadcast};

/// How many events are kept for clients that come back.
const KEPT: usize = 512;
/// How many events a reader may lag behind before it is dropped.
const LAG: usize = 256;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Nodes per state, once a second when they have changed.
    Counts,
    /// What flows, each second.
    Traffic,
    /// Nodes that changed their state, at most once a second.
    Nodes,
    /// The progress of a job.
    Jobs,
    /// Something that an operator should look at, or the end of it.
    Alerts,
    /// A line of the log.
    Log,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 6] = [Self::Counts, Self::Traffic, Self::Nodes, Self::Jobs, Self::Alerts, Self::Log];

    /// The name in the API: the type of the event.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Traffic => "traffic",
            Self::Nodes => "nodes",
            Self::Jobs => "jobs",
            Self::Alerts => "alerts",
            Self::Log => "log",
        }
    }
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) topic: Topic,
    /// One line of JSON.
    pub(crate) data: String,
}

#[derive(Debug, Default)]
struct Recent {
    last: u64,
    events: VecDeque<Arc<Event>>,
}

/// Takes events from the instance and hands them to every reader. A publisher never waits for a reader.
#[derive(Debug)]
pub struct EventHub {
    /// Tells the numbers of this process from those of others.
    instance: u64,
    recent: Mutex<Recent>,
    sender: broadcast::Sender<Arc<Event>>,
    reader_came: Notify,
}

/// What a reader gets first, and where the rest comes from.
pub(crate) struct Subscription {
    /// The events since the one that the reader had last.
    pub(crate) missed: Vec<Arc<Event>>,
    /// Whether some of them are not kept any more: the reader has to look at everything anew.
    pub(crate) incomplete: bool,
    pub(crate) receiver: broadcast::Receiver<Arc<Event>>,
}

impl EventHub {
    /// A hub whose event numbers are told from those of other processes by `instance`, such as the time of the start.
    #[must_use]
    pub fn new(instance: u64) -> Self {
        let (sender, _) = broadcast::channel(LAG);
        Self { instance, recent: Mutex::default(), sender, reader_came: Notify::new() }
    }

    /// Hands an event to every reader.
    pub fn publish(&self, topic: Topic, data: &impl Serialize) {
        // Data that cannot be written as JSON is a bug that no reader can do anything about.
        let Ok(data) = serde_json::to_string(data) else { return };
        let mut recent = self.recent.lock();
        recent.last += 1;
        let event = Arc::new(Event { number: recent.last, topic, data });
        if recent.events.len() == KEPT {
            recent.events.pop_front();
        }
        recent.events.push_back(Arc::clone(&event));
        // Without a reader nobody takes it, which is no failure.
        let _ = self.sender.send(event);
    }

    /// Whether anybody reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Waits until somebody reads.
    pub async fn reader(&self) {
        loop {
            let came = self.reader_came.notified();
            if self.is_read() {
                return;
            }
            came.await;
        }
    }

    /// The `id` of an event as readers see it.
    pub(crate) fn event_id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.instance)
    }

    /// Begins to read, behind the event with the id `last` if there is one.
    pub(crate) fn subscribe(&self, last: Option<&str>) -> Subscription {
        let recent = self.recent.lock();
        let receiver = self.sender.subscribe();
        let (missed, incomplete) = match last.map(|id| self.number(id).filter(|number| *number <= recent.last)) {
            None => (Vec::new(), false),
            Some(None) => (Vec::new(), true),
            Some(Some(number)) => {
                let first = recent.events.front().map_or(recent.last + 1, |event| event.number);
                let missed = recent.events.iter().filter(|event| event.number > number).cloned().collect();
                (missed, number + 1 < first)
            }
        };
        drop(recent);
        self.reader_came.notify_waiters();
        Subscription { missed, incomplete, receiver }
    }

    /// The number in an id of this process.
    fn number(&self, id: &str) -> Option<u64> {
        let (instance, number) = id.split_once('-')?;
        (u64::from_str_radix(instance, 16).ok()? == self.instance).then(|| number.parse().ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(subscription: &Subscription) -> Vec<u64> {
        subscription.missed.iter().map(|event| event.number).collect()
    }

    #[test]
    fn who_comes_back_gets_what_it_missed_or_hears_that_it_is_gone() {
        let hub = EventHub::new(0xab);
        (0..3).for_each(|number| hub.publish(Topic::Jobs, &number));
        let read = |last| hub.subscribe(last);
        assert!(read(None).missed.is_empty());
        assert_eq!((numbers(&read(Some("ab-1"))), read(Some("ab-1")).incomplete), (vec![2, 3], false));
        assert_eq!((numbers(&read(Some("ab-3"))), read(Some("ab-3")).incomplete), (vec![], false));
        for foreign in ["ac-1", "ab-4", "ab-", "1", "", "ab-99999999999999999999"] {
            assert!(read(Some(foreign)).incomplete, "{foreign}");
        }
        (0..KEPT).for_each(|number| hub.publish(Topic::Jobs, &number));
        assert!(read(Some("ab-2")).incomplete && !read(Some("ab-3")).incomplete);
        assert_eq!(numbers(&read(Some("ab-3"))).len(), KEPT);
        assert_eq!(hub.recent.lock().events.len(), KEPT);
    }

    #[tokio::test]
    async fn a_reader_is_waited_for() {
        let hub = Arc::new(EventHub::new(1));
        let waiting = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.reader().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !hub.is_read());
        let reader = hub.subscribe(None);
        waiting.await.unwrap();
        assert!(hub.is_read());
        drop(reader);
        assert!(!hub.is_read());
    }
}
