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

    /// The name of what dials a node: `native`, or the name of a core such as `mihomo`.
    ///
    /// # Errors
    /// Those of [`Self::dialer`].
    fn engine_of(&self, node: &NodeSpec) -> Result<&'static str, BuildError> {
        self.dialer(node, AddressPolicy::Any).map(|_| "native")
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

    /// What the first engine says that can have the node.
    fn first_that<T>(&self, ask: impl Fn(&dyn Engine) -> Result<T, BuildError>) -> Result<T, BuildError> {
        let refused = match ask(&*self.first) {
            Err(error @ BuildError::Unsupported(_)) => error,
            decided => return decided,
        };
        self.others.iter().find_map(|engine| ask(&**engine).ok()).ok_or(refused)
    }
}

impl Engine for EngineList {
    /// # Errors
    /// That of the first engine, when none can build the node.
    fn dialer(&self, node: &NodeSpec, policy: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        self.first_that(|engine| engine.dialer(node, policy))
    }

    fn direct(&self, policy: AddressPolicy) -> Arc<dyn Dialer> {
        self.first.direct(policy)
    }

    /// # Errors
    /// As [`Self::dialer`].
    fn engine_of(&self, node: &NodeSpec) -> Result<&'static str, BuildError> {
        self.first_that(|engine| engine.engine_of(node))
    }
}
