//! The core that this program has started, as the system sees it.

use std::{fs, time::Duration};

use anyhow::Context;

use crate::{process_cpu, process_memory};

/// A core that this program has started.
#[derive(Clone, Copy, Debug)]
pub struct CoreProcess {
    /// Its process id.
    pub pid: u32,
}

impl CoreProcess {
    /// The CPU time that it has used so far.
    #[must_use]
    pub fn cpu(self) -> Duration {
        process_cpu(self.pid)
    }

    /// Its peak and its present resident memory, in KiB.
    #[must_use]
    pub fn memory(self) -> (u64, u64) {
        process_memory(self.pid)
    }
}

/// The child of a process whose program has this name.
///
/// # Errors
/// When there is none.
pub fn core_of(parent: u32, program: &str) -> anyhow::Result<CoreProcess> {
    let is_core = |id: &u32| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == program);
    let core = children_of(parent).into_iter().find(is_core);
    Ok(CoreProcess { pid: core.with_context(|| format!("{program} does not run beneath {parent}"))? })
}

/// The processes that a process has started and that still run.
#[must_use]
pub fn children_of(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}
