//! Following a store that other processes write to: what they commit is in this process within a second.
//!
//! ```text
//!   another process ──► PostgreSQL ──NOTIFY──► listen ──wakes──► read what has changed since the last reading ──► pool, tables
//!                                                     5 s ──────►
//! ```

mod listen;
mod load;
mod nodes;
mod rows;
mod status;
mod suspicion;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_core::{NodeId, Role, Roles, Timestamp};
use hezar_engine::Clock;
use hezar_probe::Ownership;
use hezar_store::{ChangePosition, ChangedRows, ChangesSince, SharedStore, StoreError, UsageRow, Writer};
use prometheus_client::registry::Registry;
use tokio::{
    sync::{Mutex, Notify, watch},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    nodes::{ListedRow, NodeChanges, NodeTarget},
    rows::RowTarget,
    suspicion::Suspicion,
};
use status::FollowStatus;

use crate::{
    annotations::Annotations,
    bans::Bans,
    cluster::{DatabaseClock, FollowStart, Membership},
    dashboard::DashboardState,
    geo::GeoLookup,
    nodes::Nodes,
    runtime::{Runtime, prober::ProberSlot},
    sources::status::SourceTable,
    store_sync::{nodes::NodeSync, sessions::SessionsAmongGateways, usage::UsageSync},
    tokens::ApiTokens,
};

/// The longest pause between two readings.
const POLL: Duration = Duration::from_secs(5);
/// After a notification others may follow: so long they gather.
const GATHER: Duration = Duration::from_millis(50);
/// The pause before rows that wait for a change of this process are looked at again.
const DEFERRED: Duration = Duration::from_millis(300);
/// The first pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Days of usage that are followed: older ones do not change any more, and count into no quota of days.
const USAGE_DAYS: u32 = 60;

/// What is kept in step with the store.
pub(crate) struct FollowParts {
    pub(crate) shared: Arc<dyn SharedStore>,
    pub(crate) clock: Clock,
    pub(crate) roles: Roles,
    pub(crate) membership: Arc<Membership>,
    pub(crate) pool: Arc<Nodes>,
    pub(crate) geo: Arc<GeoLookup>,
    pub(crate) node_sync: Arc<NodeSync>,
    pub(crate) writer: Writer,
    pub(crate) prober: Arc<ProberSlot>,
    pub(crate) table: SourceTable,
    pub(crate) sessions: Arc<SessionsAmongGateways>,
    pub(crate) bans: Bans,
    pub(crate) annotations: Annotations,
    pub(crate) dashboard: Arc<DashboardState>,
    pub(crate) usage_sync: Arc<UsageSync>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) tokens: Arc<ApiTokens>,
}

/// Follows the store.
pub(crate) struct Follower {
    shared: Arc<dyn SharedStore>,
    clock: Clock,
    database_clock: DatabaseClock,
    forgets_nodes: bool,
    membership: Arc<Membership>,
    ownership: watch::Receiver<Ownership>,
    node_sync: Arc<NodeSync>,
    writer: Writer,
    usage_sync: Arc<UsageSync>,
    runtime: Arc<Runtime>,
    tokens: Arc<ApiTokens>,
    nodes: NodeTarget,
    rows: RowTarget,
    suspicion: Suspicion,
    status: FollowStatus,
    wakes: Notify,
    progress: Mutex<Progress>,
}

/// How far the following is.
struct Progress {
    position: Option<ChangePosition>,
    /// Rows of nodes that this process is changing itself: they are taken over when that is handed to the writer.
    deferred: HashMap<NodeId, ListedRow>,
    /// Whether objects have changed and are not in force yet.
    objects: bool,
    /// Whether tokens have.
    tokens: bool,
    /// When they are to be put into force.
    control_due: Instant,
    /// Whether it was said that objects cannot be put into force.
    control_failed: bool,
}

impl Progress {
    /// Objects or tokens may have changed.
    fn note_control(&mut self, objects: bool, tokens: bool) {
        self.objects |= objects;
        self.tokens |= tokens;
        if objects || tokens {
            self.control_due = Instant::now();
        }
    }
}

impl Follower {
    pub(crate) fn new(parts: FollowParts, start: FollowStart, registry: &mut Registry) -> Self {
        let FollowStart { position, database_clock, copy_of } = start;
        parts.membership.set_copy_of(copy_of);
        parts.membership.note_read(Instant::now());
        let ownership = parts.membership.ownership();
        Self {
            database_clock,
            forgets_nodes: parts.roles.has(Role::Fetch),
            nodes: NodeTarget { pool: Arc::clone(&parts.pool), table: parts.table.clone(), geo: parts.geo },
            rows: RowTarget {
                pool: Arc::clone(&parts.pool),
                table: parts.table,
                reads_sources: parts.roles.has(Role::Fetch),
                sessions: parts.sessions,
                bans: parts.bans,
                annotations: parts.annotations,
                dashboard: parts.dashboard,
            },
            suspicion: Suspicion::new(parts.pool, ownership.clone(), parts.prober),
            ownership,
            shared: parts.shared,
            clock: parts.clock,
            membership: parts.membership,
            node_sync: parts.node_sync,
            writer: parts.writer,
            usage_sync: parts.usage_sync,
            runtime: parts.runtime,
            tokens: parts.tokens,
            status: FollowStatus::new(registry),
            wakes: Notify::new(),
            progress: Mutex::new(Progress {
                position,
                deferred: HashMap::new(),
                objects: false,
                tokens: false,
                control_due: Instant::now(),
                control_failed: false,
            }),
        }
    }

    /// Follows until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
            () = self.listen() => {}
            () = self.suspicion.tell(&*self.shared) => {}
            () = self.keep_house() => {}
        }
    }

    async fn follow(&self) {
        let mut progress = self.progress.lock().await;
        let mut pause = FIRST_PAUSE;
        loop {
            let caught_up = self.catch_up(&mut progress).await;
            match caught_up {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    if self.status.note_failure() {
                        tracing::warn!(
                            code = error.code(), %error,
                            "the changes of other instances cannot be read: this one goes on with what it knows"
                        );
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            }
            let longest = if progress.deferred.is_empty() { POLL } else { DEFERRED };
            if timeout(longest, self.wakes.notified()).await.is_ok() {
                sleep(GATHER).await;
            }
        }
    }

    /// Reads what has changed, and takes it over.
    async fn catch_up(&self, progress: &mut Progress) -> Result<(), StoreError> {
        let began = Instant::now();
        let changed = match &progress.position {
            Some(position) => self.shared.changes_since(position).await?,
            None => ChangesSince::LoadAnew,
        };
        let count = match changed {
            ChangesSince::Rows(rows) => self.take_over(progress, *rows).await,
            ChangesSince::LoadAnew => {
                let (position, count) = self.load_anew().await?;
                progress.position = Some(position);
                progress.deferred.clear();
                progress.note_control(true, true);
                count
            }
        };
        if (progress.objects || progress.tokens) && Instant::now() >= progress.control_due {
            self.apply_control(progress).await?;
        }
        self.membership.note_read(began);
        if let Some(failed) = self.status.note_read(count) {
            tracing::info!(failed_s = failed.as_secs(), rows = count, "the changes of other instances are read again");
        }
        Ok(())
    }

    async fn take_over(&self, progress: &mut Progress, rows: ChangedRows) -> usize {
        let ChangedRows { mut changes, objects, tokens, usage, next } = rows;
        let (count, now) = (changes.len() + usage.len(), self.clock.now());
        self.rows.apply_sources(&mut changes, now);
        self.rows.apply_lifts(&mut changes);
        let mut nodes = NodeChanges::take_from(&mut changes);
        self.note_arrivals(&nodes);
        for id in &nodes.removed {
            progress.deferred.remove(id);
        }
        // A node that this process lists again is not gone: it is written again.
        nodes.removed.retain(|id| !self.node_sync.is_changing(*id));
        progress.deferred.extend(nodes.rows.drain());
        nodes.rows = progress.deferred.extract_if(|id, _| !self.node_sync.is_changing(*id)).collect();
        let is_applied = self.apply_nodes(nodes, now).await;
        self.rows.apply(changes);
        self.adopt_usage(usage, now).await;
        progress.note_control(objects, tokens);
        // What a panic has left half done is read anew.
        progress.position = is_applied.then_some(next);
        count
    }

    fn note_arrivals(&self, nodes: &NodeChanges) {
        let ownership = self.ownership.borrow().clone();
        for (id, record) in &nodes.records {
            let Some(checked) = record.last_checked else { continue };
            if self.nodes.pool.node(*id).is_some_and(|node| !ownership.owns_node(&node)) {
                self.status.note_arrival(checked, self.clock);
            }
        }
    }

    /// Takes nodes over; false after a panic, which its hook logs.
    async fn apply_nodes(&self, nodes: NodeChanges, now: Timestamp) -> bool {
        let (target, ownership) = (self.nodes.clone(), self.ownership.borrow().clone());
        spawn_blocking(move || target.apply(nodes, &ownership, now)).await.is_ok()
    }

    async fn adopt_usage(&self, mut usage: Vec<UsageRow>, now: Timestamp) {
        let first = hezar_core::UtcDay::containing(now).0.saturating_sub(USAGE_DAYS);
        usage.retain(|row| row.day.0 >= first);
        if !usage.is_empty() {
            self.usage_sync.adopt(usage).await;
        }
    }

    /// Puts the objects and tokens of the store into force. What cannot be done here is tried again every few seconds.
    async fn apply_control(&self, progress: &mut Progress) -> Result<(), StoreError> {
        progress.control_due = Instant::now() + POLL;
        if progress.tokens {
            self.tokens.adopt().await?;
            progress.tokens = false;
        }
        if !progress.objects {
            return Ok(());
        }
        match self.runtime.adopt_objects().await {
            Ok(difference) => {
                (progress.objects, progress.control_failed) = (false, false);
                if let Some(difference) = difference.filter(|difference| !difference.changed.is_empty()) {
                    tracing::info!(changed = difference.changed.join(", "), "changed by another instance");
                }
            }
            Err(error) if !progress.control_failed => {
                progress.control_failed = true;
                tracing::error!(
                    "what another instance has changed is not in force here, and is tried again: {error:#}"
                );
            }
            Err(_) => {}
        }
        Ok(())
    }
}
