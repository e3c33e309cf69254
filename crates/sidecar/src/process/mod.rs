//! A core as a child process: its home folder, its start and end, and a supervisor that keeps it running.

mod child;
mod home;
mod log;
mod proc;
mod supervisor;
#[cfg(test)]
mod tests;

pub use child::CoreCommand;
use child::{CoreEvent, CoreProcess};
pub use home::CoreHome;
pub(crate) use proc::runs;
pub use supervisor::{CoreCounters, CoreSetup, CoreState, CoreSupervisor};
