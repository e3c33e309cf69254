//! Hezar as a service of systemd: what is installed where, for the whole system or for one user, and how it is undone.

mod host;
mod plan;
mod step;
mod unit;

pub(crate) use host::{Scope, check, is_packaged, is_running, last_log};
pub(crate) use plan::{Installation, install, is_of, open_low_ports, uninstall};
pub(crate) use step::{Outcome, Step};
