//! The core that this program has started, as the system sees it.

use std::{fs, time::Duration};

use anyhow::Context;

use crate::{process_cpu, process_memory};

/// A program with the core that it has started.
#[derive(Clone, Copy, Debug)]
pub struct CoreProcesses {
    /// The core's process id.
    pub core: u32,
}

impl CoreProcesses {
    /// The CPU time that the core has used so far.
    #[must_use]
    pub fn cpu(self) -> Duration {
        process_cpu(self.core)
    }

    /// Its peak and its present resident memory, in KiB.
    #[must_use]
    pub fn memory(self) -> (u64, u64) {
        process_memory(self.core)
    }
}

/// The child of a process whose program has this name.
///
/// # Errors
/// When there is none.
pub fn core_of(parent: u32, program: &str) -> anyhow::Result<CoreProcesses> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task"))?.flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let ids: Vec<u32> = children
        .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect();
    let is_core = |id: &&u32| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == program);
    let core = ids.iter().find(is_core).with_context(|| format!("{program} does not run beneath {parent}"))?;
    Ok(CoreProcesses { core: *core })
}
