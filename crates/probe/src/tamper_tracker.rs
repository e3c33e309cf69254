//! Decides who is to blame for a canary page that came changed, or not at all: the node, the page, or nobody yet.
//!
//! Each exit network counts once, with the latest thing that one of its nodes brought. A changed page is the node's fault
//! when other networks bring the right one. The page itself has changed when most networks bring the same other bytes and
//! none brings the right ones any more. A page that does not come is the node's fault when it misses the page again and
//! again while most other networks bring it.

use std::{collections::HashMap, time::Duration};

use hezar_core::{NetworkKey, NodeId, Timestamp};

type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// How long an observation counts.
const FRESH: Duration = Duration::from_secs(600);
/// How long copies of a page may differ after it has changed.
const CHANGING: Duration = Duration::from_secs(60);
/// So many networks that bring all kinds of other bytes, and none that brings the right ones: the page has changed.
const BROKEN: usize = 8;
/// So many times in a row a node must miss what others bring.
pub(crate) const MISSES: u32 = 3;
/// Observations remembered for one page.
const MOST: usize = 4096;

/// Who brought something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observer {
    pub(crate) id: NodeId,
    /// The network that it comes out of; its nodes count as one observer.
    pub(crate) network: NetworkKey,
}

/// What becomes of a node that brought other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// It goes into quarantine.
    Node,
    /// It cannot be said before somebody else has brought the page.
    Nobody,
    /// Nothing: the page must have changed.
    Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saw {
    Intact,
    Changed(u64),
}

/// The last thing that a network's nodes brought, and when it brought that first and last.
#[derive(Clone, Copy, Debug)]
struct Observation<S> {
    saw: S,
    since: Timestamp,
    last: Timestamp,
}

/// One observation for each network, the newest.
#[derive(Debug)]
struct Observations<S> {
    latest: Map<NetworkKey, Observation<S>>,
}

impl<S> Default for Observations<S> {
    fn default() -> Self {
        Self { latest: Map::default() }
    }
}

impl<S: Copy + PartialEq> Observations<S> {
    fn record(&mut self, network: NetworkKey, saw: S, now: Timestamp) {
        if self.latest.len() >= MOST && !self.latest.contains_key(&network) {
            self.latest.retain(|_, observation| now.since(observation.last) < FRESH);
            if self.latest.len() >= MOST {
                return;
            }
        }
        let observation = self.latest.entry(network).or_insert(Observation { saw, since: now, last: now });
        if observation.saw != saw {
            *observation = Observation { saw, since: now, last: now };
        }
        observation.last = now;
    }

    /// The observations that still count, by network.
    fn fresh(&self, now: Timestamp) -> impl Iterator<Item = (NetworkKey, &Observation<S>)> {
        let fresh = move |observation: &Observation<S>| now.since(observation.last) < FRESH;
        self.latest
            .iter()
            .filter(move |(_, observation)| fresh(observation))
            .map(|(network, observation)| (*network, observation))
    }

    /// The observations of other networks that still count.
    fn others(&self, network: NetworkKey, now: Timestamp) -> impl Iterator<Item = &Observation<S>> {
        self.fresh(now).filter(move |(other, _)| *other != network).map(|(_, observation)| observation)
    }
}

/// A node that brought other bytes when nobody could say whether they are the right ones.
#[derive(Clone, Copy, Debug)]
struct Unconfirmed {
    network: NetworkKey,
    code: &'static str,
    digest: u64,
}

/// What is known about one page.
#[derive(Debug, Default)]
struct Page {
    observations: Observations<Saw>,
    /// Nodes that wait for somebody else's word.
    unconfirmed: Map<NodeId, Unconfirmed>,
    /// Nodes that were blamed, with the bytes' digest, for the case that the page turns out to have changed.
    blamed: Map<NodeId, u64>,
    /// Whether it was said that the page has changed.
    told: bool,
}

/// What an observation leads to for other nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Consequences {
    /// These are to blame after all.
    pub(crate) quarantine: Vec<(NodeId, &'static str)>,
    /// These are not: the page has changed.
    pub(crate) release: Vec<NodeId>,
    /// The page turned out to have changed just now; to be said once.
    pub(crate) page_changed: bool,
}

/// How many networks bring the pages, and how many do not.
#[derive(Clone, Copy, Debug, Default)]
struct NetworkCounts {
    bring: usize,
    miss: usize,
}

/// Everything that is suspected.
#[derive(Debug, Default)]
pub(crate) struct TamperTracker {
    pages: Map<usize, Page>,
    /// Whether the nodes of a network bring any page.
    arrivals: Observations<bool>,
    /// Nodes whose last miss waits for a node that brings a page.
    missing: Map<NodeId, NetworkKey>,
    /// Misses in a row, of those that others' success has confirmed.
    misses: Map<NodeId, u32>,
}

impl TamperTracker {
    /// A node brought the right page.
    pub(crate) fn intact(&mut self, who: Observer, page: usize, now: Timestamp) -> Consequences {
        let page = self.pages.entry(page).or_default();
        page.observations.record(who.network, Saw::Intact, now);
        page.unconfirmed.remove(&who.id);
        page.blamed.remove(&who.id);
        page.told = false;
        let guilty = |id: NodeId, unconfirmed: &Unconfirmed| {
            page.blame(Observer { id, network: unconfirmed.network }, unconfirmed.digest, now) == Blame::Node
        };
        let guilty: Vec<_> = page
            .unconfirmed
            .iter()
            .filter(|(id, unconfirmed)| guilty(**id, unconfirmed))
            .map(|(id, d)| (*id, *d))
            .collect();
        let mut consequences = Consequences::default();
        for (id, unconfirmed) in guilty {
            page.unconfirmed.remove(&id);
            page.blamed.insert(id, unconfirmed.digest);
            consequences.quarantine.push((id, unconfirmed.code));
        }
        consequences
    }

    /// A node brought other bytes.
    pub(crate) fn changed(
        &mut self,
        who: Observer,
        page: usize,
        (code, digest): (&'static str, u64),
        now: Timestamp,
    ) -> (Blame, Consequences) {
        let page = self.pages.entry(page).or_default();
        page.observations.record(who.network, Saw::Changed(digest), now);
        let mut consequences = Consequences::default();
        let blame = page.blame(who, digest, now);
        match blame {
            Blame::Node => {
                page.unconfirmed.remove(&who.id);
                page.blamed.insert(who.id, digest);
            }
            Blame::Nobody => {
                page.unconfirmed.insert(who.id, Unconfirmed { network: who.network, code, digest });
            }
            Blame::Page => {
                page.unconfirmed.clear();
                consequences.release =
                    page.blamed.extract_if(|_, brought| *brought == digest).map(|(id, _)| id).collect();
                consequences.page_changed = !std::mem::replace(&mut page.told, true);
            }
        }
        (blame, consequences)
    }

    /// A node brought a page, right or not. Returns the nodes that have missed it too often while others brought it.
    pub(crate) fn arrived(&mut self, who: Observer, now: Timestamp) -> Vec<NodeId> {
        self.arrivals.record(who.network, true, now);
        self.misses.remove(&who.id);
        self.missing.remove(&who.id);
        let mut guilty = Vec::new();
        // Many may wait: the observations are counted once for all of them.
        let tally = self.tally(now);
        for (id, network) in std::mem::take(&mut self.missing) {
            if !self.others_bring_in(tally, network, now) {
                continue;
            }
            let misses = self.misses.entry(id).or_default();
            *misses += 1;
            if *misses >= MISSES {
                guilty.push(id);
            }
        }
        guilty
    }

    /// A node works and brought no page.
    pub(crate) fn missed(&mut self, who: Observer, now: Timestamp) {
        self.arrivals.record(who.network, false, now);
        self.missing.insert(who.id, who.network);
    }

    /// Whether other networks bring the pages, more of them than not.
    pub(crate) fn others_bring(&self, who: Observer, now: Timestamp) -> bool {
        self.others_bring_in(self.tally(now), who.network, now)
    }

    /// How many networks bring the pages.
    fn tally(&self, now: Timestamp) -> NetworkCounts {
        self.arrivals.fresh(now).fold(NetworkCounts::default(), |tally, (_, observation)| match observation.saw {
            true => NetworkCounts { bring: tally.bring + 1, ..tally },
            false => NetworkCounts { miss: tally.miss + 1, ..tally },
        })
    }

    /// Whether in a tally of all networks more of the others bring the pages than not.
    fn others_bring_in(
        &self,
        NetworkCounts { bring, miss }: NetworkCounts,
        network: NetworkKey,
        now: Timestamp,
    ) -> bool {
        let own = self.arrivals.latest.get(&network).filter(|observation| now.since(observation.last) < FRESH);
        match own.map(|observation| observation.saw) {
            Some(true) => bring > miss + 1,
            Some(false) => bring + 1 > miss,
            None => bring > miss,
        }
    }

    /// A node has left the pool.
    pub(crate) fn forget(&mut self, id: NodeId) {
        for page in self.pages.values_mut() {
            page.unconfirmed.remove(&id);
            page.blamed.remove(&id);
        }
        self.missing.remove(&id);
        self.misses.remove(&id);
    }
}

impl Page {
    fn blame(&self, who: Observer, digest: u64, now: Timestamp) -> Blame {
        let others = || self.observations.others(who.network, now);
        let same = || others().filter(|observation| observation.saw == Saw::Changed(digest));
        let intact = others().filter(|observation| observation.saw == Saw::Intact);
        let (right, newest) =
            intact.fold((0, None), |(count, newest), observation| (count + 1, newest.max(Some(observation.last))));
        let changed = others().count() - right;
        let own = self.observations.latest.get(&who.network).map_or(now, |observation| observation.since);
        // Since when these bytes have been seen. Whoever brings the right ones long after that shows that the page is
        // as it was.
        let first = same().map(|observation| observation.since).min().unwrap_or(own).min(own);
        let still_right = newest.is_some_and(|newest: Timestamp| newest > first.after(CHANGING));
        match (right, same().count()) {
            (0, _) if self.told || changed + 1 >= BROKEN => Blame::Page,
            (0, _) => Blame::Nobody,
            (right, same) if same >= right && !still_right => Blame::Page,
            _ => Blame::Node,
        }
    }
}
