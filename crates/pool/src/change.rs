//! What can happen to the set of nodes.

use hezar_core::{Label, Listing, NodeId, NodeSpec, Record, SourceName};

use crate::LeftOut;

/// A change to the set of nodes.
#[derive(Clone, Debug)]
pub enum PoolChange {
    /// A source lists nodes.
    List {
        /// The source.
        source: SourceName,
        /// Whether it allows private server addresses; the newest listing decides for all nodes of the source.
        allow_private: bool,
        /// The nodes; duplicates are one node, the first label wins.
        nodes: Vec<(NodeSpec, Label)>,
        /// Whether this list replaces what the source listed before, or only adds to it. A node that no source lists
        /// any more stays until it has been dead for [`Rules::forget_after`](crate::Rules::forget_after).
        complete: bool,
    },
    /// A source was taken out of the configuration: it lists nothing any more, and its `allow_private` ends.
    DropSource(SourceName),
    /// These nodes are removed now, whatever their state. A later listing adds them again as new nodes.
    Remove(Vec<NodeId>),
    /// Nodes that the store kept; a node that is present already only gains the sources.
    Restore(Vec<Restored>),
}

/// What a [`PoolChange`] did, in numbers of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Nodes that were not known before.
    pub added: usize,
    /// Known nodes whose sources or display name changed.
    pub updated: usize,
    /// Nodes that are gone.
    pub removed: usize,
    /// Nodes that no source lists since this change; they are still there.
    pub unlisted: usize,
    /// Nodes that the list named and that were not taken in, because of the pool's bounds.
    pub left_out: LeftOut,
    /// Nodes that the list named and that are banned.
    pub banned: usize,
}

/// A node as the store kept it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The identity of `spec`, which whoever read the store has computed already.
    pub id: NodeId,
    /// The node.
    pub spec: NodeSpec,
    /// Its display name.
    pub label: Label,
    /// The sources that listed it.
    pub sources: Vec<Listing>,
    /// The source that listed it last, when none does any more; its permission is kept.
    pub kept_from: Option<Listing>,
    /// What was known about it; `unsupported` is not believed (a newer build may support it).
    pub record: Record,
}
