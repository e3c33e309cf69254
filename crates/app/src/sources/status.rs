//! What every source gave last: shown by the API, and kept in the store.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hezar_api::{ApiError, SourceDto, StoreDto, SubscriptionDto};
use hezar_core::Timestamp;
use hezar_fetch::SubscriptionInfo;
use hezar_pool::{ExitKey, LeftOut, Node, Snapshot, SourceName};
use hezar_store::{Change, SourceRow, Writer, WriterClosed};
use parking_lot::Mutex;
use tokio::{task::spawn_blocking, time::timeout};

use super::quality;
use crate::{
    config::MANUAL_PRIVATE,
    nodes::Payload,
    store_sync::{nodes::NodeSync, status as store_status},
};

/// How old the counts over all nodes may be: making them walks over every node.
const CENSUS_AGE: Duration = Duration::from_secs(1);
/// The same for a large pool.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// The most nodes that are walked over while somebody waits for the counts: about two milliseconds.
const SMALL: usize = 5000;

/// The rows of all sources. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SourceTable {
    rows: Arc<Mutex<Vec<SourceRow>>>,
    writer: Writer,
    /// Rows of the store that could not be read, by reason.
    unreadable: Arc<BTreeMap<&'static str, usize>>,
    node_sync: Option<Arc<NodeSync>>,
    census: Arc<Mutex<Option<Counted>>>,
    /// How often the validators were forgotten.
    forgotten: Arc<AtomicU64>,
    /// What the configuration of this process says of the sources that it reads: whether their nodes may have private addresses.
    permissions: Arc<Mutex<HashMap<String, bool>>>,
}

/// Counts, with when they were made and how long that took.
#[derive(Debug)]
struct Counted {
    at: Instant,
    took: Duration,
    /// The nodes that there were.
    total: usize,
    census: Arc<Census>,
}

impl Counted {
    fn make(snapshot: &Snapshot<Payload>) -> Self {
        let begun = Instant::now();
        let mut schemes: HashMap<&'static str, usize> = HashMap::new();
        snapshot.nodes().for_each(|node| *schemes.entry(node.spec().scheme()).or_default() += 1);
        let census = Arc::new(Census { listed: count(snapshot.nodes().map(AsRef::as_ref)), schemes });
        Self { at: Instant::now(), took: begun.elapsed(), total: snapshot.counts().total(), census }
    }
}

/// Counts over all nodes at a moment.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pub(crate) listed: HashMap<Arc<str>, Listed>,
    /// Nodes by scheme.
    pub(crate) schemes: HashMap<&'static str, usize>,
}

impl SourceTable {
    pub(crate) fn new(rows: Vec<SourceRow>, writer: Writer) -> Self {
        Self {
            rows: Arc::new(Mutex::new(rows)),
            writer,
            unreadable: Arc::default(),
            node_sync: None,
            census: Arc::default(),
            forgotten: Arc::default(),
            permissions: Arc::default(),
        }
    }

    /// The same table, which writes what has changed in the pool before what it notes.
    pub(crate) fn syncing_nodes(self, node_sync: Arc<NodeSync>) -> Self {
        Self { node_sync: Some(node_sync), ..self }
    }

    /// The same table, which also tells what of the store could not be read.
    pub(crate) fn with_unreadable(self, unreadable: BTreeMap<&'static str, usize>) -> Self {
        Self { unreadable: Arc::new(unreadable), ..self }
    }

    /// The row of a source as it was last noted.
    pub(crate) fn row(&self, name: &str) -> Option<SourceRow> {
        self.rows.lock().iter().find(|row| &*row.name == name).cloned()
    }

    /// The names of all sources, those that left the configuration too.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.rows.lock().iter().map(|row| Arc::clone(&row.name)).collect()
    }

    /// Takes over that another process has forgotten a source.
    pub(crate) fn adopt_removal(&self, name: &str) {
        self.rows.lock().retain(|row| &*row.name != name);
    }

    /// Notes what the configuration says of a source, which counts before it is read for the first time, and more than what another
    /// process says.
    pub(crate) fn configure(&self, name: &str, allow_private: bool) {
        self.permissions.lock().insert(name.to_owned(), allow_private);
    }

    /// Whether the nodes of a source may have private addresses.
    pub(crate) fn allows_private(&self, name: &str) -> bool {
        if let Some(configured) = self.permissions.lock().get(name) {
            return *configured;
        }
        self.rows.lock().iter().any(|row| &*row.name == name && row.allow_private)
    }

    /// Forgets a source.
    pub(crate) async fn forget(&self, name: &Arc<str>) -> Result<(), WriterClosed> {
        self.rows.lock().retain(|row| row.name != *name);
        self.permissions.lock().remove(&**name);
        self.writer.put(vec![Change::RemoveSource(Arc::clone(name))]).await
    }

    /// Notes a row, and writes it behind whatever has changed in the pool until now.
    pub(crate) async fn note(&self, row: SourceRow) -> Result<(), WriterClosed> {
        let row = self.remember(row);
        if let Some(node_sync) = &self.node_sync {
            node_sync.write_all().await?;
        }
        self.writer.put(vec![Change::PutSource(row)]).await
    }

    /// Takes over what another instance has written of a source.
    pub(crate) fn adopt(&self, row: SourceRow) {
        drop(self.remember(row));
    }

    /// What writes the rows.
    pub(super) const fn writer(&self) -> &Writer {
        &self.writer
    }

    fn remember(&self, row: SourceRow) -> SourceRow {
        let mut rows = self.rows.lock();
        match rows.iter_mut().find(|known| known.name == row.name) {
            Some(known) => *known = row.clone(),
            None => rows.push(row.clone()),
        }
        row
    }

    /// Notes that nodes were added by hand, and says whether they are in the store; false when the store is behind.
    pub(crate) async fn noted_by_hand(&self, source: &str, now: Timestamp) -> Result<bool, ApiError> {
        let mut row = self.row(source).unwrap_or_else(|| SourceRow::new(source, "manual"));
        row.allow_private = source == MANUAL_PRIVATE;
        row.last_ok = Some(now);
        row.last_fetch = Some(now);
        let row = self.remember(row);
        self.save(vec![Change::PutSource(row)]).await
    }

    /// Hands over what has changed in the pool, and these changes, and waits a moment until all is in the store; false
    /// when the store is behind.
    pub(crate) async fn save(&self, changes: Vec<Change>) -> Result<bool, ApiError> {
        match timeout(store_status::DURABLE_WAIT, self.hand_over()).await {
            Ok(Ok(())) => store_status::save(&self.writer, changes).await,
            Ok(Err(WriterClosed)) => Err(ApiError::Unavailable),
            Err(_) => Err(ApiError::StoreOverflow),
        }
    }

    async fn hand_over(&self) -> Result<(), WriterClosed> {
        match &self.node_sync {
            Some(node_sync) => node_sync.all().await,
            None => Ok(()),
        }
    }

    /// How the writing goes.
    pub(crate) fn store(&self) -> StoreDto {
        store_status::dto(self.writer.status(), &self.unreadable)
    }

    /// Lets every source be read whole the next time, also when it has not changed; returns what has to be written for
    /// that, so that a restart does not bring the validators back.
    pub(crate) fn forget_validators(&self) -> Vec<Change> {
        self.forgotten.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.rows.lock();
        let forgotten = rows.iter_mut().filter_map(|row| row.validators.take().map(|_| Change::PutSource(row.clone())));
        forgotten.collect()
    }

    /// How often the validators were forgotten: those of a reading that began before are of no use.
    pub(crate) fn times_forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Changes the row of a source, if it has one; it is written with its next note.
    pub(crate) fn amend(&self, name: &str, change: impl FnOnce(&mut SourceRow)) {
        if let Some(row) = self.rows.lock().iter_mut().find(|row| &*row.name == name) {
            change(row);
        }
    }

    /// The counts over all nodes. Those of a small pool are made here, at most once a second; those of a large one are the last
    /// that [`SourceTable::renew_census`] made, so that nobody who asks waits for a walk over a million nodes.
    pub(crate) fn census(&self, snapshot: &Snapshot<Payload>) -> Arc<Census> {
        let mut last = self.census.lock();
        if let Some(counted) = &*last
            && (counted.at.elapsed() < CENSUS_AGE || snapshot.counts().total() > SMALL)
        {
            return Arc::clone(&counted.census);
        }
        let counted = Counted::make(snapshot);
        let census = Arc::clone(&counted.census);
        *last = Some(counted);
        census
    }

    /// Makes the counts of a large pool anew when they are old: after ten seconds, or after a second when the pool has become much
    /// larger or smaller, and not before twenty times what it takes. Call it about once a second.
    pub(crate) async fn renew_census(&self, snapshot: Arc<Snapshot<Payload>>) {
        let total = snapshot.counts().total();
        if total <= SMALL {
            return;
        }
        let due = |counted: &Counted| {
            let changed = counted.total.abs_diff(total) > total / 10;
            let age = if changed { CENSUS_AGE } else { RENEW_EVERY };
            counted.at.elapsed() >= age.max(counted.took * 20)
        };
        if !self.census.lock().as_ref().is_none_or(due) {
            return;
        }
        // A panic in it is logged by its hook; the next second tries again.
        if let Ok(counted) = spawn_blocking(move || Counted::make(&snapshot)).await {
            *self.census.lock() = Some(counted);
        }
    }

    /// The sources with what they list, and with what the pool left out of their lists.
    pub(crate) fn sources(&self, census: &Census, left_out: &[(SourceName, LeftOut)]) -> Vec<SourceDto> {
        let listed = &census.listed;
        let mut rows = self.rows.lock().clone();
        // What lists nodes without being read again, such as the demonstration's world.
        for name in listed.keys() {
            if !rows.iter().any(|row| row.name == *name) {
                rows.push(SourceRow::new(Arc::clone(name), "memory"));
            }
        }
        let beyond = |row: &SourceRow| {
            left_out.iter().find(|(name, _)| *name == row.name).map_or(0, |(_, left_out)| left_out.total())
        };
        rows.iter().map(|row| SourceDto { left_out: beyond(row), ..dto(row, listed.get(&row.name)) }).collect()
    }
}

fn dto(row: &SourceRow, listed: Option<&Listed>) -> SourceDto {
    let none = Listed::default();
    let listed = listed.unwrap_or(&none);
    SourceDto {
        name: row.name.to_string(),
        kind: row.kind.to_string(),
        nodes: listed.nodes,
        healthy: listed.healthy,
        exits: listed.exits,
        unique_exits: listed.unique,
        half_life_s: quality::half_life(row).map(|half| half.as_secs()),
        quarantined: quality::is_unproductive(row),
        rejected: row.rejects as usize,
        subscription: row.subscription.as_deref().and_then(SubscriptionInfo::from_text).map(subscription),
        left_out: 0,
        last_ok: row.last_ok.map(|at| at.0),
        error: row.error.as_ref().map(|error| error.code.to_string()),
        error_text: row.error.as_ref().map(|error| error.text.to_string()),
        next: row.next_fetch.map(|at| at.0),
    }
}

fn subscription(info: SubscriptionInfo) -> SubscriptionDto {
    let used = info.upload.unwrap_or(0).saturating_add(info.download.unwrap_or(0));
    SubscriptionDto {
        used: (info.upload.is_some() || info.download.is_some()).then_some(used),
        total: info.total,
        left: info.left(),
        expires: info.expires_ms,
        title: info.title.map(Into::into),
        web_page: info.web_page.map(Into::into),
        support: info.support.map(Into::into),
    }
}

/// What a source gives at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) nodes: usize,
    pub(crate) healthy: usize,
    /// The exits behind the healthy ones.
    pub(crate) exits: usize,
    /// How many of these exits no other source gives.
    pub(crate) unique: usize,
}

/// What every source gives now.
pub(crate) fn count<'a>(nodes: impl Iterator<Item = &'a Node<Payload>>) -> HashMap<Arc<str>, Listed> {
    let mut listed: HashMap<Arc<str>, Listed> = HashMap::new();
    let mut exits: HashMap<Arc<str>, HashSet<ExitKey>> = HashMap::new();
    // The one source that gives an exit; `None` when several do.
    let mut givers: HashMap<ExitKey, Option<Arc<str>>> = HashMap::new();
    for node in nodes {
        let (routable, exit) = (node.routable(), node.exit());
        for listing in node.sources() {
            let entry = listed.entry(Arc::clone(&listing.source)).or_default();
            entry.nodes += 1;
            if !routable {
                continue;
            }
            entry.healthy += 1;
            exits.entry(Arc::clone(&listing.source)).or_default().insert(exit);
            let giver = givers.entry(exit).or_insert_with(|| Some(Arc::clone(&listing.source)));
            if giver.as_ref().is_some_and(|giver| *giver != listing.source) {
                *giver = None;
            }
        }
    }
    for (source, exits) in exits {
        listed.entry(source).or_default().exits = exits.len();
    }
    for source in givers.into_values().flatten() {
        if let Some(entry) = listed.get_mut(&source) {
            entry.unique += 1;
        }
    }
    listed
}
