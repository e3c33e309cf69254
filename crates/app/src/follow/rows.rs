//! Everything but nodes that other processes change: sources, sessions, bans, annotations, and what dashboards keep.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use hezar_core::Timestamp;
use hezar_store::{Change, Contents, SourceRow};

use crate::{
    annotations::Annotations,
    bans::Bans,
    config::MANUAL_PRIVATE,
    dashboard::DashboardState,
    nodes::Nodes,
    sources::status::SourceTable,
    store_sync::{sessions::SessionsAmongGateways, site_bans},
};

/// Where such rows are taken over to.
pub(super) struct RowTarget {
    pub(super) pool: Arc<Nodes>,
    pub(super) table: SourceTable,
    /// Whether the configuration of this process says what sources may do.
    pub(super) reads_sources: bool,
    pub(super) sessions: Arc<SessionsAmongGateways>,
    pub(super) bans: Bans,
    pub(super) annotations: Annotations,
    pub(super) dashboard: Arc<DashboardState>,
}

impl RowTarget {
    /// Takes over what has become of sources. Nodes come after them: what they may do follows from it.
    pub(super) fn apply_sources(&self, changes: &mut Vec<Change>, now: Timestamp) {
        changes.retain(|change| match change {
            Change::PutSource(row) => {
                self.put_source(row.clone(), now);
                false
            }
            Change::RemoveSource(name) => {
                self.table.adopt_removal(name);
                false
            }
            _ => true,
        });
    }

    /// Takes over which bans were lifted. Nodes come after them: a banned one is not taken over.
    pub(super) fn apply_lifts(&self, changes: &mut Vec<Change>) {
        changes.retain(|change| match change {
            Change::RemoveBan(id) => {
                self.bans.adopt_lift(*id, &self.pool);
                false
            }
            _ => true,
        });
    }

    fn put_source(&self, mut row: SourceRow, now: Timestamp) {
        let known = self.table.row(&row.name);
        if self.reads_sources {
            row.allow_private = *row.name == *MANUAL_PRIVATE || self.table.allows_private(&row.name);
        } else if known.is_some_and(|known| known.allow_private != row.allow_private) {
            self.pool.list(&row.name, row.allow_private, Vec::new(), false, now);
        }
        self.table.adopt(row);
    }

    /// Takes the rest over.
    pub(super) fn apply(&self, changes: Vec<Change>) {
        let mut said = Vec::new();
        for change in changes {
            match change {
                Change::PutSession(row) => self.sessions.adopt(row),
                Change::RemoveSession { name, .. } => self.sessions.adopt_end(&name),
                Change::PutBan(row) => self.bans.adopt(row, &self.pool),
                Change::RemoveBan(id) => self.bans.adopt_lift(id, &self.pool),
                Change::PutSiteBan(row) => self.pool.adopt_exit_ban(site_bans::ban(row)),
                Change::RemoveSiteBan { site, exit, .. } => self.pool.adopt_exit_ban_end(&site, exit),
                Change::PutAnnotation(row) => said.push((row.id, Some(row))),
                Change::RemoveAnnotation(id) => said.push((id, None)),
                Change::PutDashboard(row) => self.dashboard.adopt(row, &self.pool),
                Change::RemoveDashboard(kind, key) => self.dashboard.adopt_removal(kind, &key, &self.pool),
                _ => {}
            }
        }
        if !said.is_empty() {
            self.annotations.adopt(said, &self.pool);
        }
    }

    /// What has to happen so that this process has what the store has, and nothing else; nodes and lists are not among it.
    pub(super) fn differences(&self, mut stored: Contents, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let Contents { sources, sessions, bans, site_bans, annotations, dashboard, .. } = &stored;
        let names = sources.iter().map(|row| Arc::clone(&row.name));
        changes.extend(gone(self.table.names(), names).map(Change::RemoveSource));
        let names = sessions.iter().map(|row| row.name.clone());
        let end = |name| Change::RemoveSession { name, ends: Change::WHENEVER };
        changes.extend(gone(self.sessions.names(), names).map(end));
        changes.extend(gone(self.bans.ids(), bans.iter().map(|row| row.id)).map(Change::RemoveBan));
        let here = self.pool.exit_bans(now).into_iter().map(|ban| (ban.site, ban.exit));
        let there = site_bans.iter().map(|row| (row.site.clone(), row.exit));
        let end = |(site, exit)| Change::RemoveSiteBan { site, exit, until: Change::WHENEVER };
        changes.extend(gone(here, there).map(end));
        let ids = annotations.iter().map(|row| row.id);
        changes.extend(gone(self.annotations.ids(), ids).map(Change::RemoveAnnotation));
        let keys = dashboard.iter().map(|row| (row.kind, row.key.clone()));
        changes.extend(gone(self.dashboard.keys(), keys).map(|(kind, key)| Change::RemoveDashboard(kind, key)));
        stored.site_bans.retain(|row| row.until > now);
        changes.extend(stored.into_changes());
        changes
    }
}

/// What is here and not there.
fn gone<K: Eq + Hash>(
    here: impl IntoIterator<Item = K>,
    there: impl IntoIterator<Item = K>,
) -> impl Iterator<Item = K> {
    let there: HashSet<K> = there.into_iter().collect();
    here.into_iter().filter(move |key| !there.contains(key)).collect::<Vec<_>>().into_iter()
}
