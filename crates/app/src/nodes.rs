//! The type of this program's pool, of what each node in it carries, and the names of the states of its nodes.

use std::sync::Arc;

use hezar_engine::Dialer;
use hezar_pool::{Node, Pool};

/// What a node carries: its dialer, from its first use.
pub(crate) type Payload = Arc<dyn Dialer>;
/// The pool of this program.
pub(crate) type Nodes = Pool<Payload>;

/// The state of a node that no dialer can be built for: it counts in no other.
const UNSUPPORTED: &str = "unsupported";
/// The state of a node that an operator has switched off.
const DISABLED: &str = "disabled";
/// The state of a node that was caught tampering.
const QUARANTINED: &str = "quarantined";

/// The name of a node's state in the API and the metrics.
pub(crate) fn state_name(node: &Node<Payload>) -> &'static str {
    match node.unsupported() {
        _ if node.disabled() => DISABLED,
        Some(_) => UNSUPPORTED,
        None if node.quarantine().is_some() => QUARANTINED,
        None => node.state().name(),
    }
}
