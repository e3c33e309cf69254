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

    /// The name of what dials a node: `native`, or the name of a core such as `mihomo`; `None` when nothing does.
    fn engine_of(&self, node: &NodeSpec) -> Option<&'static str> {
        self.dialer(node, AddressPolicy::Any).is_ok().then_some("native")
    }
}

/// Several engines as one: the first that can build a node builds it. What is invalid for the first one is invalid for all: the others
/// are asked for what it does not support.
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
            Err(error @ BuildError::Unsupported(_)) => error,
            decided => return decided,
        };
        self.others.iter().find_map(|engine| engine.dialer(node, policy).ok()).ok_or(refused)
    }

    fn direct(&self, policy: AddressPolicy) -> Arc<dyn Dialer> {
        self.first.direct(policy)
    }

    fn engine_of(&self, node: &NodeSpec) -> Option<&'static str> {
        if let Some(name) = self.first.engine_of(node) {
            return Some(name);
        }
        let invalid = matches!(self.first.dialer(node, AddressPolicy::Any), Err(BuildError::Invalid(_)));
        if invalid { None } else { self.others.iter().find_map(|engine| engine.engine_of(node)) }
    }
}
