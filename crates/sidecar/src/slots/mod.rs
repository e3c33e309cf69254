//! The slots of a core: fixed users of its loopback listener, each of which leads to the node that has the slot now.
//!
//! A slot goes to a node when the node is dialled, and stays its own until another node needs a slot and this one has not been used for the
//! longest. A slot with an open stream or association is never taken.

mod lease;
mod plan;
mod state;
mod table;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use hezar_core::{NodeId, NodeSpec};
use hezar_engine::AddressPolicy;

pub(crate) use self::{
    lease::{SlotAccess, SlotLease},
    plan::{PlannedSlot, SlotPlan},
    table::SlotTable,
};

/// A node that a core dials.
#[derive(Debug)]
pub(crate) struct CoreNode {
    /// Its id.
    pub(crate) id: NodeId,
    /// Its description.
    pub(crate) spec: NodeSpec,
    /// Which addresses its server may have.
    pub(crate) policy: AddressPolicy,
}

impl CoreNode {
    pub(crate) fn new(spec: NodeSpec, policy: AddressPolicy) -> Arc<Self> {
        Arc::new(Self { id: spec.id(), spec, policy })
    }

    /// What tells it from others: the same node may be allowed private addresses by one source alone.
    const fn key(&self) -> NodeKey {
        (self.id, matches!(self.policy, AddressPolicy::Any))
    }
}

type NodeKey = (NodeId, bool);

/// The name of a slot: its user at the listener, and the node's name in the core's configuration.
pub(crate) fn slot_name(index: usize) -> String {
    format!("s{index:05}")
}

/// Where a node's server is, as this machine has looked it up. The core must not look it up by itself: it does not know which addresses are
/// allowed.
pub(crate) type Addresses = Arc<[IpAddr]>;

/// A node as entries of the core's configuration under the name of its slot, written when a configuration first has it.
pub(crate) type Entries = Arc<OnceLock<Vec<String>>>;
