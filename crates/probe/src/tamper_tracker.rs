//! Decides who is to blame for a canary page that is changed or missing: the node, the page, or nobody yet.
//!
//! Each exit network counts once, with the latest result of its nodes. A changed page is the node's fault when other
//! networks deliver it intact. The page itself has changed when most networks deliver the same other bytes and none delivers
//! the known ones any more. A missing page is the node's fault when the node misses it repeatedly while most other networks
//! deliver it.

use std::{collections::HashMap, time::Duration};

use hezar_core::{NetworkKey, NodeId, Timestamp};

type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// How long an observation counts.
const FRESH: Duration = Duration::from_secs(600);
/// How long copies of a page may differ after it has changed.
const CHANGING: Duration = Duration::from_secs(60);
/// When so many networks deliver other bytes, all different, and none delivers the known ones, the page has changed.
const MASS_CHANGE: usize = 8;
/// A node is to blame when it misses a page so many times in a row while others deliver it.
pub(crate) const MISSES: u32 = 3;
/// The most observations that are kept for one page.
const MOST: usize = 4096;

/// The node that delivered something, and its exit network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observer {
    pub(crate) id: NodeId,
    /// All nodes of one exit network count as one observer.
    pub(crate) network: NetworkKey,
}

/// Who is to blame for other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The node, which goes into quarantine.
    Node,
    /// It is unknown until another network has delivered the page.
    Nobody,
    /// The page has changed, and no node is to blame.
    Page,
}

/// What a node delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageContent {
    Intact,
    /// Other bytes, by their digest.
    Changed(u64),
}

/// The latest result of a network's nodes, with the times when it was first and last seen.
#[derive(Clone, Copy, Debug)]
struct Observation<T> {
    result: T,
    since: Timestamp,
    last: Timestamp,
}

/// The latest observation of each network.
#[derive(Debug)]
struct Observations<T> {
    latest: Map<NetworkKey, Observation<T>>,
}

impl<T> Default for Observations<T> {
    fn default() -> Self {
        Self { latest: Map::default() }
    }
}

impl<T: Copy + PartialEq> Observations<T> {
    fn record(&mut self, network: NetworkKey, result: T, now: Timestamp) {
        if self.latest.len() >= MOST && !self.latest.contains_key(&network) {
            self.latest.retain(|_, observation| now.since(observation.last) < FRESH);
            if self.latest.len() >= MOST {
                return;
            }
        }
        let observation = self.latest.entry(network).or_insert(Observation { result, since: now, last: now });
        if observation.result != result {
            *observation = Observation { result, since: now, last: now };
        }
        observation.last = now;
    }

    /// The observations that still count, by network.
    fn fresh(&self, now: Timestamp) -> impl Iterator<Item = (NetworkKey, &Observation<T>)> {
        let fresh = move |observation: &Observation<T>| now.since(observation.last) < FRESH;
        self.latest
            .iter()
            .filter(move |(_, observation)| fresh(observation))
            .map(|(network, observation)| (*network, observation))
    }

    /// The observations of other networks that still count.
    fn others(&self, network: NetworkKey, now: Timestamp) -> impl Iterator<Item = &Observation<T>> {
        self.fresh(now).filter(move |(other, _)| *other != network).map(|(_, observation)| observation)
    }
}

/// A node that delivered other bytes while it is unknown whether the page has changed.
#[derive(Clone, Copy, Debug)]
struct Unconfirmed {
    network: NetworkKey,
    code: &'static str,
    digest: u64,
}

/// What is known about one page.
#[derive(Debug, Default)]
struct PageState {
    observations: Observations<PageContent>,
    /// Nodes that another network's result will decide about.
    unconfirmed: Map<NodeId, Unconfirmed>,
    /// Nodes that were blamed, with the digest of their bytes; they are released if the page turns out to have changed.
    blamed: Map<NodeId, u64>,
    /// Whether the change of the page has been reported.
    change_reported: bool,
}

/// What an observation means for other nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Consequences {
    /// These are to blame.
    pub(crate) quarantine: Vec<(NodeId, &'static str)>,
    /// These are not to blame: the page has changed.
    pub(crate) release: Vec<NodeId>,
    /// The page has changed; this is reported once.
    pub(crate) page_changed: bool,
}

/// How many networks deliver the pages, and how many do not.
#[derive(Clone, Copy, Debug, Default)]
struct NetworkCounts {
    delivering: usize,
    missing: usize,
}

/// What is known about the canary pages and the nodes that deliver them.
#[derive(Debug, Default)]
pub(crate) struct TamperTracker {
    pages: Map<usize, PageState>,
    /// Whether the nodes of a network deliver any page.
    deliveries: Observations<bool>,
    /// Nodes whose last miss counts only when another node delivers a page.
    missing: Map<NodeId, NetworkKey>,
    /// Misses in a row, counting those that another node's delivery has confirmed.
    misses: Map<NodeId, u32>,
}

impl TamperTracker {
    /// A node delivered the page intact.
    pub(crate) fn intact(&mut self, observer: Observer, page: usize, now: Timestamp) -> Consequences {
        let page = self.pages.entry(page).or_default();
        page.observations.record(observer.network, PageContent::Intact, now);
        page.unconfirmed.remove(&observer.id);
        page.blamed.remove(&observer.id);
        page.change_reported = false;
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

    /// A node delivered other bytes.
    pub(crate) fn changed(
        &mut self,
        observer: Observer,
        page: usize,
        (code, digest): (&'static str, u64),
        now: Timestamp,
    ) -> (Blame, Consequences) {
        let page = self.pages.entry(page).or_default();
        page.observations.record(observer.network, PageContent::Changed(digest), now);
        let mut consequences = Consequences::default();
        let blame = page.blame(observer, digest, now);
        match blame {
            Blame::Node => {
                page.unconfirmed.remove(&observer.id);
                page.blamed.insert(observer.id, digest);
            }
            Blame::Nobody => {
                page.unconfirmed.insert(observer.id, Unconfirmed { network: observer.network, code, digest });
            }
            Blame::Page => {
                page.unconfirmed.clear();
                consequences.release =
                    page.blamed.extract_if(|_, brought| *brought == digest).map(|(id, _)| id).collect();
                consequences.page_changed = !std::mem::replace(&mut page.change_reported, true);
            }
        }
        (blame, consequences)
    }

    /// A node delivered a page, intact or not. Returns the nodes that have missed theirs too often meanwhile.
    pub(crate) fn delivered(&mut self, observer: Observer, now: Timestamp) -> Vec<NodeId> {
        self.deliveries.record(observer.network, true, now);
        self.misses.remove(&observer.id);
        self.missing.remove(&observer.id);
        let mut guilty = Vec::new();
        // Many nodes may wait: the networks are counted once for all of them.
        let counts = self.count_networks(now);
        for (id, network) in std::mem::take(&mut self.missing) {
            if !self.most_others_deliver(counts, network, now) {
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

    /// A node works and delivered no page.
    pub(crate) fn missed(&mut self, observer: Observer, now: Timestamp) {
        self.deliveries.record(observer.network, false, now);
        self.missing.insert(observer.id, observer.network);
    }

    /// Whether most other networks deliver the pages.
    pub(crate) fn others_deliver(&self, observer: Observer, now: Timestamp) -> bool {
        self.most_others_deliver(self.count_networks(now), observer.network, now)
    }

    /// How many networks deliver the pages, and how many do not.
    fn count_networks(&self, now: Timestamp) -> NetworkCounts {
        self.deliveries.fresh(now).fold(NetworkCounts::default(), |counts, (_, observation)| match observation.result {
            true => NetworkCounts { delivering: counts.delivering + 1, ..counts },
            false => NetworkCounts { missing: counts.missing + 1, ..counts },
        })
    }

    /// Whether most networks other than `network` deliver the pages; `counts` are those of all networks.
    fn most_others_deliver(
        &self,
        NetworkCounts { delivering, missing }: NetworkCounts,
        network: NetworkKey,
        now: Timestamp,
    ) -> bool {
        let own = self.deliveries.latest.get(&network).filter(|observation| now.since(observation.last) < FRESH);
        match own.map(|observation| observation.result) {
            Some(true) => delivering > missing + 1,
            Some(false) => delivering + 1 > missing,
            None => delivering > missing,
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

impl PageState {
    /// Who is to blame for the bytes with this digest.
    fn blame(&self, observer: Observer, digest: u64, now: Timestamp) -> Blame {
        let others = || self.observations.others(observer.network, now);
        let same = || others().filter(|observation| observation.result == PageContent::Changed(digest));
        let intact = others().filter(|observation| observation.result == PageContent::Intact);
        let (right, newest) =
            intact.fold((0, None), |(count, newest), observation| (count + 1, newest.max(Some(observation.last))));
        let changed = others().count() - right;
        let own = self.observations.latest.get(&observer.network).map_or(now, |observation| observation.since);
        // Since when these bytes have been seen. A network that delivers the known bytes long after that shows that the page
        // has not changed.
        let first = same().map(|observation| observation.since).min().unwrap_or(own).min(own);
        let still_right = newest.is_some_and(|newest: Timestamp| newest > first.after(CHANGING));
        match (right, same().count()) {
            (0, _) if self.change_reported || changed + 1 >= MASS_CHANGE => Blame::Page,
            (0, _) => Blame::Nobody,
            (right, same) if same >= right && !still_right => Blame::Page,
            _ => Blame::Node,
        }
    }
}
