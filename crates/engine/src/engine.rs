//! The trait of what makes dialers of node descriptions, and several such engines combined.

use std::{fmt::Debug, sync::Arc};

use hezar_core::NodeSpec;

use crate::{AddressPolicy, BuildError, Dialer};

/// Makes dialers: this crate's own code, another program that is driven, or a fake in tests.
pub trait Engine: Debug + Send + Sync {
    /// The dialer for a node. It refuses a server address that `policy` forbids when it dials it.
    ///
    /// # Errors
    /// [`BuildError`] when the node's protocol or one of its settings cannot be dialled.
    fn dialer(&self, node: &NodeSpec, policy: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError>;

    /// The dialer that uses this machine's own sockets.
    fn direct(&self, policy: AddressPolicy) -> Arc<dyn Dialer>;
}

/// Several engines as one: the first that can build a node builds it.
#[derive(Clone, Debug)]
pub struct EngineList {
    first: Arc<dyn Engine>,
    others: Arc<[Arc<dyn Engine>]>,
}

impl EngineList {
    /// `first` is asked before `others`, and dials directly.
    pub fn new(first: Arc<dyn Engine>, others: impl IntoIterator<Item = Arc<dyn Engine>>) -> Self {
        Self { first, others: others.into_iter().collect() }
    }
}

impl Engine for EngineList {
    /// # Errors
    /// That of the first engine, when none can build the node.
    fn dialer(&self, node: &NodeSpec, policy: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        let refused = match self.first.dialer(node, policy) {
            Ok(dialer) => return Ok(dialer),
            Err(error) => error,
        };
        self.others.iter().find_map(|engine| engine.dialer(node, policy).ok()).ok_or(refused)
    }

    fn direct(&self, policy: AddressPolicy) -> Arc<dyn Dialer> {
        self.first.direct(policy)
    }
}
