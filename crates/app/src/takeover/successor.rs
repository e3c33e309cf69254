//! The process that takes over, as its predecessor sees it.

use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long a successor that has failed may take to end by itself.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// A process that takes over.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) pid: u32,
    /// What names the process for certain, even when another one has its number by then (pidfd_open(2)).
    #[cfg(target_os = "linux")]
    process: Option<std::os::fd::OwnedFd>,
}

impl Successor {
    /// The process with this number, which is connected.
    pub(super) fn new(pid: u32) -> Self {
        Self {
            pid,
            #[cfg(target_os = "linux")]
            process: i32::try_from(pid)
                .ok()
                .and_then(Pid::from_raw)
                .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
        }
    }

    /// Ends it when it does not end by itself within a moment: it may hang with the sockets and the store in its hands.
    pub(super) async fn end_soon(self) {
        tokio::time::sleep(LAST_MOMENT).await;
        #[cfg(target_os = "linux")]
        if let Some(process) = &self.process
            && pidfd_send_signal(process, Signal::KILL).is_ok()
        {
            tracing::warn!(pid = self.pid, "the process that failed to take over did not end by itself and was killed");
        }
    }
}
