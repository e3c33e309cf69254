//! The right to use a node, counted as load while it is held.

use std::{ops::Deref, sync::Arc};

use crate::Node;

/// A node in use. The node's load goes down again when this is dropped.
#[must_use = "dropping the lease ends the use of the node"]
#[derive(Debug)]
pub struct Lease<D> {
    node: Arc<Node<D>>,
}

impl<D> Lease<D> {
    /// Takes a lease on a node that was not picked but chosen by name.
    pub fn new(node: Arc<Node<D>>) -> Self {
        node.raise();
        Self { node }
    }
}

impl<D> Deref for Lease<D> {
    type Target = Arc<Node<D>>;

    fn deref(&self) -> &Self::Target {
        &self.node
    }
}

impl<D> Drop for Lease<D> {
    fn drop(&mut self) {
        self.node.lower();
    }
}
