//! The signals that a running program obeys: asked to end, and the terminal's hangup.

/// Requests to end: SIGTERM, and SIGINT from the terminal.
#[derive(Debug)]
pub(crate) struct EndSignals {
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    interrupt: Option<tokio::signal::unix::Signal>,
}

impl EndSignals {
    /// From here on a request to end is kept until [`Self::received`] returns it; without this it ends the process at
    /// once. So it is called before anything begins that an end must finish. Needs the runtime.
    pub(crate) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self { terminate: signal(SignalKind::terminate()).ok(), interrupt: signal(SignalKind::interrupt()).ok() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Completes when the program is asked to end. It can be awaited again, for a second request. Cancel safe.
    pub(crate) async fn received(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            () = next(&mut self.terminate) => {}
            () = next(&mut self.interrupt) => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The next signal of this kind; never completes where the system refused to tell.
#[cfg(unix)]
async fn next(signal: &mut Option<tokio::signal::unix::Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// Keeps a hangup, and SIGUSR1, which opens the log files again, from ending the program before anything listens to them.
pub(crate) fn outlive_hangups() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // The handler stays for as long as the process lives.
        drop(signal(SignalKind::hangup()));
        drop(signal(SignalKind::user_defined1()));
    }
}
