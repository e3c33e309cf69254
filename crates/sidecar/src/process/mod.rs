//! A core as a child process: its home folder, its start and end, and a supervisor that keeps it running.

mod child;
mod home;
mod memory;
mod supervisor;
#[cfg(test)]
mod tests;

pub use child::{CoreCommand, CoreEvent, CoreProcess};
pub use home::CoreHome;
pub use supervisor::{CoreCounters, CoreSetup, CoreState, CoreSupervisor};
