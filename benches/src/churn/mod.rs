//! A subscription that exchanges its nodes all the time, and tunnels that run through nodes which have left it.

mod list;
mod tunnel;

pub use list::List;
pub use tunnel::{Life, exchange, live, live_on};
