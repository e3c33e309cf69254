//! What names resolved to: bounded in entries and in time, and one question at a time per name.

use std::{collections::HashMap, future::Future, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{Shared, WeakShared},
};
use hezar_core::DomainName;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The addresses of a name and how long they may be kept.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// The addresses; empty when the name does not exist or nobody answered.
    pub(super) addresses: Arc<[IpAddr]>,
    /// The time to live that the answer came with.
    pub(super) ttl: Duration,
}

type Asking = Pin<Box<dyn Future<Output = Resolved> + Send>>;

enum Entry {
    // Weak: when every caller has given up, the question is gone too and the next caller asks afresh.
    Asking(WeakShared<Asking>),
    Known { addresses: Arc<[IpAddr]>, until: Instant },
}

/// The bounds of a cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most names kept.
    pub(super) entries: usize,
    /// The shortest and longest time that addresses are kept.
    pub(super) positive: (Duration, Duration),
    /// How long it is remembered that a name has none.
    pub(super) negative: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entries: 65_536,
            positive: (Duration::from_secs(60), Duration::from_secs(3600)),
            negative: Duration::from_secs(30),
        }
    }
}

/// A cache of answers.
pub(super) struct Cache {
    bounds: Bounds,
    entries: Mutex<HashMap<DomainName, Entry>>,
}

impl Cache {
    /// An empty cache.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: Mutex::new(HashMap::new()) }
    }

    /// The addresses of a name: the kept ones, or what `ask` finds. Callers that come while a question is under way
    /// share it; it is dropped when the last of them gives up.
    pub(super) async fn get<F>(&self, name: &DomainName, ask: impl FnOnce() -> F) -> Arc<[IpAddr]>
    where
        F: Future<Output = Resolved> + Send + 'static,
    {
        let question = {
            let mut entries = self.entries.lock();
            let under_way = match entries.get(name) {
                Some(Entry::Known { addresses, until }) if *until > Instant::now() => return Arc::clone(addresses),
                Some(Entry::Asking(question)) => question.upgrade(),
                _ => None,
            };
            under_way.unwrap_or_else(|| self.start(&mut entries, name, Box::pin(ask())))
        };
        let answer = question.await;
        self.keep(name, &answer);
        answer.addresses
    }

    fn start(&self, entries: &mut HashMap<DomainName, Entry>, name: &DomainName, asking: Asking) -> Shared<Asking> {
        let question = asking.shared();
        if let Some(weak) = question.downgrade() {
            self.make_room(entries);
            entries.insert(name.clone(), Entry::Asking(weak));
        }
        question
    }

    fn keep(&self, name: &DomainName, answer: &Resolved) {
        let mut entries = self.entries.lock();
        if let Some(entry @ Entry::Asking(_)) = entries.get_mut(name) {
            let (least, most) = self.bounds.positive;
            let keep = if answer.addresses.is_empty() { self.bounds.negative } else { answer.ttl.clamp(least, most) };
            *entry = Entry::Known { addresses: Arc::clone(&answer.addresses), until: Instant::now() + keep };
        }
    }

    /// Makes room for one more: what is out of date goes first, then whatever half comes to hand. Both are rare, so
    /// keeping an order at every look-up would cost more.
    fn make_room(&self, entries: &mut HashMap<DomainName, Entry>) {
        if entries.len() < self.bounds.entries {
            return;
        }
        let now = Instant::now();
        entries.retain(|_, entry| matches!(entry, Entry::Known { until, .. } if *until > now));
        if entries.len() >= self.bounds.entries {
            let mut odd = false;
            entries.retain(|_, _| {
                odd = !odd;
                odd
            });
        }
    }

    /// How many names it holds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.lock().len()
    }
}
