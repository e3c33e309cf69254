//! Keeps a core running: starts it, waits until it serves, watches its memory, and starts it again with growing pauses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hezar_child::Launcher;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{CoreCommand, CoreHome, CoreProcess, log::CoreLog, proc::resident_bytes};
use crate::CoreError;

/// The pause before a core is started again; it doubles each time that the core ends without having served for a while.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after a core that has not served at all.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause after a core that has served.
const LONGEST_PAUSE_AFTER_SERVICE: Duration = Duration::from_secs(1);
/// How long a core has to serve for the pauses to begin anew.
const PROVEN: Duration = Duration::from_secs(10);
/// How long a core may take until it serves.
const START: Duration = Duration::from_secs(60);
/// How often a core that starts is asked whether it serves.
const ASK: Duration = Duration::from_millis(25);
/// How often a running core is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long a running core may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How many looks in a row a running core may fail.
const MOST_FAILED_LOOKS: u32 = 3;

/// What is particular to one kind of core.
#[async_trait]
pub trait CoreSetup: Send + Sync {
    /// Its name, such as `mihomo`.
    fn name(&self) -> &'static str;

    /// Writes what the core reads into its home folder, and says how it is started. Called before every start.
    ///
    /// # Errors
    /// [`CoreError`]; another start is tried after a pause.
    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError>;

    /// Whether the core serves now. Asked until it does after a start, and every few seconds from then on.
    async fn is_ready(&self, home: &CoreHome) -> bool;

    /// How important a line is that it prints.
    fn level(&self, line: &str) -> tracing::Level;
}

/// What a core does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreState {
    /// It was started and does not serve yet.
    Starting,
    /// It serves.
    Up {
        /// How many times it was started until now, from 1 on. Streams of an earlier start have ended.
        start: u64,
        /// Its process id.
        pid: u32,
    },
    /// It has ended, and is started again after a pause.
    Down {
        /// How it ended, with the last line of trouble that it printed.
        reason: Arc<str>,
    },
}

impl CoreState {
    /// Whether it serves.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// Keeps one core running.
#[derive(Debug)]
pub struct CoreSupervisor<S> {
    setup: Arc<S>,
    launcher: Launcher,
    home: Arc<CoreHome>,
    memory_limit: u64,
    state: watch::Sender<CoreState>,
    counters: Arc<CoreCounters>,
}

/// What is counted of a core; several supervisors may count here one after another.
#[derive(Debug, Default)]
pub struct CoreCounters {
    starts: AtomicU64,
    resident_bytes: AtomicU64,
}

impl CoreCounters {
    /// How often the core was started.
    pub fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// The resident memory of the core at the last look, in bytes; 0 while it is down or where the system does not tell.
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load(Ordering::Relaxed)
    }
}

impl<S: CoreSetup> CoreSupervisor<S> {
    /// A supervisor that has started nothing yet. A core that uses more than `memory_limit` bytes is ended and started again.
    pub fn new(setup: Arc<S>, launcher: Launcher, home: Arc<CoreHome>, memory_limit: u64) -> Self {
        let state = watch::Sender::new(CoreState::Starting);
        Self { setup, launcher, home, memory_limit, state, counters: Arc::default() }
    }

    /// The same supervisor, which goes on counting here.
    #[must_use]
    pub fn counting(self, counters: Arc<CoreCounters>) -> Self {
        Self { counters, ..self }
    }

    /// What the core does, and what it does next.
    pub fn state(&self) -> watch::Receiver<CoreState> {
        self.state.subscribe()
    }

    /// What was counted until now.
    pub fn counters(&self) -> &CoreCounters {
        &self.counters
    }

    /// Starts the core, and again whenever it has ended, until `stop` is cancelled; then ends it.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while !stop.is_cancelled() {
            self.state.send_replace(CoreState::Starting);
            let run = self.run_once(stop).await;
            self.counters.resident_bytes.store(0, Ordering::Relaxed);
            if stop.is_cancelled() {
                return;
            }
            pause = match run.served.map(|since| since.elapsed()) {
                Some(served) if served >= PROVEN => FIRST_PAUSE,
                Some(_) => pause.min(LONGEST_PAUSE_AFTER_SERVICE),
                None => pause,
            };
            tracing::warn!(core = self.setup.name(), ?pause, "the core is started again: {}", run.reason);
            self.state.send_replace(CoreState::Down { reason: run.reason.into() });
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One life of the core.
    async fn run_once(&self, stop: &CancellationToken) -> Run {
        // It may run the program, which may hang.
        let Some(prepared) = stop.run_until_cancelled(self.setup.prepare(&self.home)).await else {
            return Run { reason: String::new(), served: None };
        };
        let command = match prepared {
            Ok(command) => self.with_memory_limit(command),
            Err(error) => return Run::failed(&error),
        };
        let mut process = match CoreProcess::spawn(&self.launcher, &command, self.home.path()).await {
            Ok(process) => process,
            Err(error) => return Run::failed(&error),
        };
        let start = self.counters.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let mut log = CoreLog::new(&*self.setup);
        let mut served = None;
        let reason = tokio::select! {
            () = stop.cancelled() => String::new(),
            reason = self.life(&mut process, &mut log, start, &mut served) => reason,
        };
        process.end().await;
        let trouble = log.last_trouble.map(|line| format!("; it said: {line}")).unwrap_or_default();
        Run { reason: format!("{reason}{trouble}"), served }
    }

    /// Go's garbage collector works harder before the limit is reached (package runtime, `GOMEMLIMIT`).
    fn with_memory_limit(&self, mut command: CoreCommand) -> CoreCommand {
        let soft = self.memory_limit / 5 * 4;
        command.environment.push(("GOMEMLIMIT".to_owned(), soft.to_string().into()));
        command
    }

    /// Follows a core until it has ended or has to be ended, and says why.
    async fn life(
        &self,
        process: &mut CoreProcess,
        log: &mut CoreLog<'_>,
        start: u64,
        served: &mut Option<Instant>,
    ) -> String {
        let Some(pid) = process.pid() else { return "it ended at once".to_owned() };
        let ready = timeout(START, self.becomes_ready());
        tokio::pin!(ready);
        loop {
            tokio::select! {
                event = process.next_event() => {
                    if let Some(reason) = log.hear(event) {
                        return reason;
                    }
                }
                ready = &mut ready => match ready {
                    Ok(()) => break,
                    Err(_) => return format!("it did not serve within {} s", START.as_secs()),
                }
            }
        }
        *served = Some(Instant::now());
        tracing::info!(core = self.setup.name(), pid, start, "the core serves");
        self.state.send_replace(CoreState::Up { start, pid });
        let watched = self.watch(pid);
        tokio::pin!(watched);
        loop {
            tokio::select! {
                event = process.next_event() => {
                    if let Some(reason) = log.hear(event) {
                        return reason;
                    }
                }
                reason = &mut watched => return reason,
            }
        }
    }

    async fn becomes_ready(&self) {
        while !self.setup.is_ready(&self.home).await {
            sleep(ASK).await;
        }
    }

    /// Looks at a running core until something is wrong with it, and says what.
    async fn watch(&self, pid: u32) -> String {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = 0;
        loop {
            looks.tick().await;
            let bytes = resident_bytes(pid).unwrap_or_default();
            self.counters.resident_bytes.store(bytes, Ordering::Relaxed);
            if bytes > self.memory_limit {
                return format!("it uses {} MiB, more than it may", bytes >> 20);
            }
            let answers = matches!(timeout(ANSWER, self.setup.is_ready(&self.home)).await, Ok(true));
            failed = if answers { 0 } else { failed + 1 };
            if failed >= MOST_FAILED_LOOKS {
                return format!("it did not answer {MOST_FAILED_LOOKS} times");
            }
        }
    }
}

/// How one life of a core went.
struct Run {
    reason: String,
    /// Since when it served, if it ever did.
    served: Option<Instant>,
}

impl Run {
    fn failed(error: &CoreError) -> Self {
        let mut reason = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            reason = format!("{reason}: {source}");
        }
        Self { reason, served: None }
    }
}
