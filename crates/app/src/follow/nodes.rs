//! Nodes, lists and records of other processes, taken over into the pool.

use std::{collections::HashMap, sync::Arc};

use hezar_core::{Label, Listing, NodeId, Record, SourceName, Timestamp};
use hezar_pool::Restored;
use hezar_probe::{Geo, Ownership};
use hezar_store::{Change, NodeRow};

use crate::{geo::GeoLookup, nodes::Nodes, sources::status::SourceTable, store_sync::restore::read_links};

/// A node as the store has it, with the sources that list it.
pub(super) type ListedRow = (NodeRow, Vec<SourceName>);

/// What has become of nodes.
#[derive(Debug, Default)]
pub(super) struct NodeChanges {
    /// Nodes that are new or have changed.
    pub(super) rows: HashMap<NodeId, ListedRow>,
    pub(super) records: Vec<(NodeId, Record)>,
    pub(super) removed: Vec<NodeId>,
}

impl NodeChanges {
    /// Takes out of the changes what is about nodes.
    pub(super) fn take_from(changes: &mut Vec<Change>) -> Self {
        let mut nodes = Self::default();
        let rest = std::mem::take(changes).into_iter().filter_map(|change| nodes.take(change));
        *changes = rest.collect();
        nodes
    }

    fn take(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::PutNode(row) => {
                self.rows.insert(row.id, (row, Vec::new()));
            }
            Change::ListNode { id, sources } => {
                if let Some((_, listed)) = self.rows.get_mut(&id) {
                    *listed = sources;
                }
            }
            Change::PutRecord(id, record) => self.records.push((id, record)),
            Change::RemoveNode(id) => self.removed.push(id),
            other => return Some(other),
        }
        None
    }
}

/// Where nodes are taken over to. Cheap to clone.
#[derive(Clone)]
pub(super) struct NodeTarget {
    pub(super) pool: Arc<Nodes>,
    pub(super) table: SourceTable,
    pub(super) geo: Arc<GeoLookup>,
}

impl NodeTarget {
    /// Takes everything over. It takes a core for a while when there is much.
    pub(super) fn apply(&self, changes: NodeChanges, owned: &Ownership, now: Timestamp) {
        let NodeChanges { rows, mut records, removed } = changes;
        self.pool.adopt_removals(&removed);
        self.adopt(rows.into_values().collect(), owned, now);
        records.iter_mut().for_each(|(_, record)| self.locate(record));
        self.pool.adopt_records(&records, |node| owned.owns_node(node), now);
    }

    /// Takes nodes over. Rows that this build does not understand are left out, and so are those to which it would give another id.
    pub(super) fn adopt(&self, rows: Vec<ListedRow>, owned: &Ownership, now: Timestamp) {
        if rows.is_empty() {
            return;
        }
        let (rows, sources): (Vec<NodeRow>, Vec<_>) = rows.into_iter().unzip();
        let links = read_links(&rows);
        let mut adopted = Vec::with_capacity(rows.len());
        for ((row, sources), link) in rows.into_iter().zip(sources).zip(links) {
            let Ok((spec, id)) = link else { continue };
            if id != row.id {
                continue;
            }
            let NodeRow { label, kept_from, mut record, .. } = row;
            self.locate(&mut record);
            adopted.push(Restored {
                id,
                spec,
                label: Label::new(&label),
                sources: sources.into_iter().map(|source| self.listing(source)).collect(),
                kept_from: kept_from.map(|source| self.listing(source)),
                record,
            });
        }
        self.pool.adopt(adopted, |node| owned.owns_node(node), now);
    }

    fn listing(&self, source: SourceName) -> Listing {
        Listing { allow_private: self.table.allows_private(&source), source }
    }

    /// Believes the databases of this process about where an exit is.
    fn locate(&self, record: &mut Record) {
        let known = record.exit_ip.and_then(|ip| self.geo.country(ip));
        record.country = known.or(record.country);
    }
}
