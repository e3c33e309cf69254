//! Who is to blame for a page that came changed, or not at all: the node, the page, or nobody yet.
//!
//! Every node has one voice for the network that it comes out of. A changed page is a node's fault when others bring the
//! right one, and the page's own when most bring the same other bytes and nobody brings the right ones any more. A page
//! that does not come is a node's fault when others bring it, again and again, and most do.

use std::{collections::HashMap, hash::Hash, time::Duration};

use hezar_core::{NodeId, Timestamp};

type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// How long a voice counts.
const FRESH: Duration = Duration::from_secs(600);
/// How long copies of a page may differ after it has changed.
const CHANGING: Duration = Duration::from_secs(60);
/// So many networks that bring all kinds of other bytes, and none that brings the right ones: the page has changed.
const BROKEN: usize = 8;
/// So many times in a row a node must miss what others bring.
pub(crate) const MISSES: u32 = 3;
/// Voices remembered for one page.
const MOST: usize = 4096;

/// Who brought something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness {
    pub(crate) id: NodeId,
    /// The network that it comes out of: its voice.
    pub(crate) network: u64,
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
struct Voice<S> {
    saw: S,
    since: Timestamp,
    last: Timestamp,
}

/// One voice for each network, the newest.
#[derive(Debug)]
struct Voices<S> {
    heard: Map<u64, Voice<S>>,
}

impl<S> Default for Voices<S> {
    fn default() -> Self {
        Self { heard: Map::default() }
    }
}

impl<S: Copy + PartialEq> Voices<S> {
    fn hear(&mut self, network: u64, saw: S, now: Timestamp) {
        if self.heard.len() >= MOST && !self.heard.contains_key(&network) {
            self.heard.retain(|_, voice| now.since(voice.last) < FRESH);
            if self.heard.len() >= MOST {
                return;
            }
        }
        let voice = self.heard.entry(network).or_insert(Voice { saw, since: now, last: now });
        if voice.saw != saw {
            *voice = Voice { saw, since: now, last: now };
        }
        voice.last = now;
    }

    /// The voices that still count, by network.
    fn fresh(&self, now: Timestamp) -> impl Iterator<Item = (u64, &Voice<S>)> {
        let fresh = move |voice: &Voice<S>| now.since(voice.last) < FRESH;
        self.heard.iter().filter(move |(_, voice)| fresh(voice)).map(|(network, voice)| (*network, voice))
    }

    /// The voices of other networks that still count.
    fn others(&self, network: u64, now: Timestamp) -> impl Iterator<Item = &Voice<S>> {
        self.fresh(now).filter(move |(other, _)| *other != network).map(|(_, voice)| voice)
    }
}

/// A node that brought other bytes when nobody could say whether they are the right ones.
#[derive(Clone, Copy, Debug)]
struct Doubted {
    network: u64,
    code: &'static str,
    digest: u64,
}

/// What is known about one page.
#[derive(Debug, Default)]
struct Page {
    voices: Voices<Saw>,
    /// Nodes that wait for somebody else's word.
    doubted: Map<NodeId, Doubted>,
    /// Nodes that were blamed, with the bytes' digest, for the case that the page turns out to have changed.
    blamed: Map<NodeId, u64>,
    /// Whether it was said that the page has changed.
    told: bool,
}

/// What a voice leads to for other nodes.
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
struct Tally {
    bring: usize,
    miss: usize,
}

/// Everything that is suspected.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    pages: Map<usize, Page>,
    /// Whether the nodes of a network bring any page.
    arrivals: Voices<bool>,
    /// Nodes whose last miss waits for a node that brings a page.
    missing: Map<NodeId, u64>,
    /// Misses in a row, of those that others' success has confirmed.
    misses: Map<NodeId, u32>,
}

impl Suspicion {
    /// A node brought the right page.
    pub(crate) fn intact(&mut self, who: Witness, page: usize, now: Timestamp) -> Consequences {
        let page = self.pages.entry(page).or_default();
        page.voices.hear(who.network, Saw::Intact, now);
        page.doubted.remove(&who.id);
        page.blamed.remove(&who.id);
        page.told = false;
        let guilty = |id: NodeId, doubted: &Doubted| {
            page.blame(Witness { id, network: doubted.network }, doubted.digest, now) == Blame::Node
        };
        let guilty: Vec<_> =
            page.doubted.iter().filter(|(id, doubted)| guilty(**id, doubted)).map(|(id, d)| (*id, *d)).collect();
        let mut consequences = Consequences::default();
        for (id, doubted) in guilty {
            page.doubted.remove(&id);
            page.blamed.insert(id, doubted.digest);
            consequences.quarantine.push((id, doubted.code));
        }
        consequences
    }

    /// A node brought other bytes.
    pub(crate) fn changed(
        &mut self,
        who: Witness,
        page: usize,
        (code, digest): (&'static str, u64),
        now: Timestamp,
    ) -> (Blame, Consequences) {
        let page = self.pages.entry(page).or_default();
        page.voices.hear(who.network, Saw::Changed(digest), now);
        let mut consequences = Consequences::default();
        let blame = page.blame(who, digest, now);
        match blame {
            Blame::Node => {
                page.doubted.remove(&who.id);
                page.blamed.insert(who.id, digest);
            }
            Blame::Nobody => {
                page.doubted.insert(who.id, Doubted { network: who.network, code, digest });
            }
            Blame::Page => {
                page.doubted.clear();
                consequences.release =
                    page.blamed.extract_if(|_, brought| *brought == digest).map(|(id, _)| id).collect();
                consequences.page_changed = !std::mem::replace(&mut page.told, true);
            }
        }
        (blame, consequences)
    }

    /// A node brought a page, right or not. Returns the nodes that have missed it too often while others brought it.
    pub(crate) fn arrived(&mut self, who: Witness, now: Timestamp) -> Vec<NodeId> {
        self.arrivals.hear(who.network, true, now);
        self.misses.remove(&who.id);
        self.missing.remove(&who.id);
        let mut guilty = Vec::new();
        // Many may wait: the voices are counted once for all of them.
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
    pub(crate) fn missed(&mut self, who: Witness, now: Timestamp) {
        self.arrivals.hear(who.network, false, now);
        self.missing.insert(who.id, who.network);
    }

    /// Whether other networks bring the pages, more of them than not.
    pub(crate) fn others_bring(&self, who: Witness, now: Timestamp) -> bool {
        self.others_bring_in(self.tally(now), who.network, now)
    }

    /// How many networks bring the pages.
    fn tally(&self, now: Timestamp) -> Tally {
        self.arrivals.fresh(now).fold(Tally::default(), |tally, (_, voice)| match voice.saw {
            true => Tally { bring: tally.bring + 1, ..tally },
            false => Tally { miss: tally.miss + 1, ..tally },
        })
    }

    /// Whether in a tally of all networks more of the others bring the pages than not.
    fn others_bring_in(&self, Tally { bring, miss }: Tally, network: u64, now: Timestamp) -> bool {
        let own = self.arrivals.heard.get(&network).filter(|voice| now.since(voice.last) < FRESH);
        match own.map(|voice| voice.saw) {
            Some(true) => bring > miss + 1,
            Some(false) => bring + 1 > miss,
            None => bring > miss,
        }
    }

    /// A node has left the pool.
    pub(crate) fn forget(&mut self, id: NodeId) {
        for page in self.pages.values_mut() {
            page.doubted.remove(&id);
            page.blamed.remove(&id);
        }
        self.missing.remove(&id);
        self.misses.remove(&id);
    }
}

impl Page {
    fn blame(&self, who: Witness, digest: u64, now: Timestamp) -> Blame {
        let others = || self.voices.others(who.network, now);
        let same = || others().filter(|voice| voice.saw == Saw::Changed(digest));
        let intact = others().filter(|voice| voice.saw == Saw::Intact);
        let (right, newest) =
            intact.fold((0, None), |(count, newest), voice| (count + 1, newest.max(Some(voice.last))));
        let changed = others().count() - right;
        let own = self.voices.heard.get(&who.network).map_or(now, |voice| voice.since);
        // Since when these bytes have been seen. Whoever brings the right ones long after that shows that the page is
        // as it was.
        let first = same().map(|voice| voice.since).min().unwrap_or(own).min(own);
        let still_right = newest.is_some_and(|newest: Timestamp| newest > first.after(CHANGING));
        match (right, same().count()) {
            (0, _) if self.told || changed + 1 >= BROKEN => Blame::Page,
            (0, _) => Blame::Nobody,
            (right, same) if same >= right && !still_right => Blame::Page,
            _ => Blame::Node,
        }
    }
}

/// A number for some bytes.
pub(crate) fn digest(bytes: &(impl Hash + ?Sized)) -> u64 {
    hezar_pool::hash_key(bytes)
}
