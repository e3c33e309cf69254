//! The engine whose nodes a core dials.

use std::sync::Arc;

use hezar_core::NodeSpec;
use hezar_engine::{AddressPolicy, BuildError, Dialer, Engine};

use crate::{current::CurrentCore, dialer::SidecarDialer, slots::CoreNode};

/// Makes dialers for the nodes that one kind of core dials.
#[derive(Debug)]
pub(crate) struct SidecarEngine {
    pub(crate) current: Arc<CurrentCore>,
    pub(crate) base: Arc<dyn Engine>,
}

impl Engine for SidecarEngine {
    fn dialer(&self, node: &NodeSpec, policy: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        self.current.check(node)?;
        Ok(Arc::new(SidecarDialer::new(Arc::clone(&self.current), CoreNode::new(node.clone(), policy))))
    }

    fn direct(&self, policy: AddressPolicy) -> Arc<dyn Dialer> {
        self.base.direct(policy)
    }

    fn engine_of(&self, node: &NodeSpec) -> Result<&'static str, BuildError> {
        self.current.check(node).map(|()| self.current.name.as_str())
    }
}
