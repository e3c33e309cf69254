//! A node as an entry of a set by identity: the identity lies in the node, so that an entry is a pointer and no more.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::Arc,
};

use hezar_core::NodeId;

use crate::Node;

/// A node that equals another one when their identities do.
#[derive(Debug)]
pub(super) struct NodeById<D>(pub(super) Arc<Node<D>>);

impl<D> Borrow<NodeId> for NodeById<D> {
    fn borrow(&self) -> &NodeId {
        self.0.id_ref()
    }
}

impl<D> Hash for NodeById<D> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.id_ref().hash(hasher);
    }
}

impl<D> PartialEq for NodeById<D> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl<D> Eq for NodeById<D> {}
