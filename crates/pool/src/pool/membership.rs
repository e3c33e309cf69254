//! How single nodes come into the pool and leave it, in all its tables at once.

use std::{collections::HashSet, sync::Arc};

use hezar_core::{NodeId, SourceName, Timestamp};

use super::{Pool, by_id::NodeById};
use crate::{Applied, ChangeKind, ChangedNode, INSECURE, Node, index::Index, sources::SourceTable};

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Takes a new node in, with its places in the views.
    pub(super) fn insert(&self, table: &mut SourceTable, index: &mut Index<D>, node: &Arc<Node<D>>) {
        self.enter(table, node);
        index.add(Arc::clone(node));
    }

    /// Enters a new node in every table but the index.
    pub(super) fn enter(&self, table: &mut SourceTable, node: &Arc<Node<D>>) {
        if node.insecure() && !self.rules().allow_insecure {
            node.set_unsupported(Some(INSECURE.into()));
        }
        if let Some(annotation) = table.annotations.get(&node.id()) {
            node.set_annotation(Some(Arc::clone(annotation)));
        }
        self.shard(node.id()).write().insert(NodeById(Arc::clone(node)));
        table.count_server(node);
    }

    pub(crate) fn take(&self, id: NodeId) -> Option<Arc<Node<D>>> {
        self.shard(id).write().take(&id).map(|node| node.0)
    }

    /// Frees the slots of nodes that have been taken out of the index.
    pub(crate) fn discard(&self, table: &mut SourceTable, nodes: &[Arc<Node<D>>]) {
        self.take_out(table, nodes);
        let news: Vec<_> = nodes.iter().map(|node| ChangedNode { id: node.id(), kind: ChangeKind::Removed }).collect();
        self.watchers.notify(&news);
    }

    /// The same, and tells nobody.
    pub(super) fn take_out(&self, table: &mut SourceTable, nodes: &[Arc<Node<D>>]) {
        if nodes.is_empty() {
            return;
        }
        let mut index = self.index.lock();
        for node in nodes {
            table.unlisted.remove(&node.slot());
            table.uncount_server(node);
            for listing in node.sources() {
                table.source(&listing.source).members.remove(&node.slot());
            }
            index.remove(node);
        }
        self.publish(&index);
    }

    pub(crate) fn remove(&self, ids: &[NodeId]) -> Applied {
        let removed = self.remove_all(&mut self.sources.lock(), ids);
        Applied { removed, ..Applied::default() }
    }

    pub(crate) fn drop_source(&self, name: &SourceName, now: Timestamp) -> Applied {
        let mut table = self.sources.lock();
        let Some(source) = table.sources.remove(name) else { return Applied::default() };
        self.own_lists.forget(name);
        let members: Vec<u32> = source.members.into_iter().collect();
        self.change_kept(&table, name, None);
        let unlisted = self.unlist(&mut table, name, &members, None, now);
        Applied { unlisted, ..Applied::default() }
    }

    pub(crate) fn forget(&self, now: Timestamp) -> usize {
        let mut table = self.sources.lock();
        let mut old = Vec::new();
        {
            let index = self.index.lock();
            let unlisted = table.unlisted.iter().filter_map(|slot| index.node_at(*slot));
            old.extend(unlisted.filter(|node| node.forgettable(now, &self.rules())).map(|node| node.id()));
        }
        let forgotten = self.remove_all(&mut table, &old);
        // The bound may have become smaller since the store was filled.
        let beyond = self.snapshot().counts().total().saturating_sub(self.rules().bounds.total);
        forgotten + self.make_room(&mut table, beyond, &HashSet::default())
    }
}
