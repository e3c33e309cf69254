//! What an operator says about nodes: which must not come back, and how they are used.

use std::sync::Arc;

use hezar_core::NodeId;

use super::{Pool, list::SLICE};
use crate::{Annotation, ChangeKind, ChangedNode};

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Keeps nodes away from now on, whatever lists them; those that are there stay until they are removed.
    pub fn ban(&self, ids: impl IntoIterator<Item = NodeId>) {
        self.sources.lock().banned.extend(ids);
    }

    /// Lets a banned node come back with the next list that names it; says whether it was banned.
    pub fn lift(&self, id: NodeId) -> bool {
        self.sources.lock().banned.remove(&id)
    }

    /// Notes what an operator says about nodes from now on, also about those that are not there; `None` = nothing.
    pub fn annotate(&self, annotations: Vec<(NodeId, Option<Annotation>)>) {
        // Held to the end: a node that comes meanwhile has its annotation too.
        let mut table = self.sources.lock();
        for slice in annotations.chunks(SLICE) {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for (id, annotation) in slice {
                let annotation = annotation.clone().map(Arc::new);
                match &annotation {
                    Some(annotation) => table.annotations.insert(*id, Arc::clone(annotation)),
                    None => table.annotations.remove(id),
                };
                let Some(node) = self.node(*id) else { continue };
                node.set_annotation(annotation);
                index.place(&node);
                news.push(ChangedNode { id: *id, kind: ChangeKind::State });
            }
            self.publish(&index);
            drop(index);
            self.watchers.notify(&news);
        }
    }
}
