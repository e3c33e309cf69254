//! Lists that a part of this program makes itself, such as the circuits of a Tor client: sources that are not fetched.

use std::{collections::HashMap, sync::Arc};

use hezar_core::{NodeId, Secret};
use parking_lot::RwLock;

use crate::nodes::Nodes;

/// What is provided for a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Provided {
    /// The links of all its nodes.
    Links(Vec<Secret>),
    /// No nodes yet, and why.
    Nothing {
        /// The stable code of the reason.
        code: &'static str,
        /// The reason in words.
        text: String,
    },
}

/// What is provided for each source, by its name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProvidedLists(Arc<RwLock<HashMap<String, Provided>>>);

impl ProvidedLists {
    /// What is provided for a source, if anything is.
    pub(super) fn get(&self, name: &str) -> Option<Provided> {
        self.0.read().get(name).cloned()
    }

    pub(super) fn set(&self, name: &str, provided: Provided) {
        self.0.write().insert(name.to_owned(), provided);
    }

    /// Forgets what is provided for all other sources.
    pub(super) fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        self.0.write().retain(|name, _| is_kept(name));
    }
}

/// The nodes that no source lists any more and that this one was the last to list.
pub(super) fn left_by(pool: &Nodes, name: &str) -> Vec<NodeId> {
    let snapshot = pool.snapshot();
    let left = snapshot
        .nodes()
        .filter(|node| node.sources().is_empty() && node.kept_from().is_some_and(|kept| &*kept.source == name));
    left.map(|node| node.id()).collect()
}
