//! Nodes that only a core dials, all of them behind one server, and this program over them.

mod core_process;
mod servers;

pub use core_process::{CoreProcess, children_of, core_of};
pub use servers::{CoreServer, Pair};
