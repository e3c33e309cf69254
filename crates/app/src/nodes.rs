//! The type of this program's pool, and of what each node in it carries.

use std::sync::Arc;

use hezar_engine::Dialer;
use hezar_pool::Pool;

/// What a node carries: its dialer, from its first use.
pub(crate) type Payload = Arc<dyn Dialer>;
/// The pool of this program.
pub(crate) type Nodes = Pool<Payload>;
