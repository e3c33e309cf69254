//! A running instance hands over to its successor, and takes everything back when that one fails.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use hezar_engine::Clock;
use hezar_gateway::{Connections, Usage};
use hezar_store::{Change, ReleasableStore, Writer};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    channel::Channel,
    draining::DrainingProcesses,
    messages::{SocketNote, ToPredecessor, ToSuccessor},
    reporter::{self, open_now},
    successor::Successor,
};
use crate::{
    pause::Pause,
    runtime::{api_server::ApiServer, listeners::Listeners},
    store_sync::sessions::SessionSync,
};

/// How long open requests of the API may take to end.
const API_PAUSE: Duration = Duration::from_secs(10);
/// How long background tasks may take to end, and the store to take what waits in memory.
const FLUSH: Duration = Duration::from_secs(20);
/// How long a successor may be silent while it starts: it says every two seconds that it lives.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a successor may take to start in all.
const LONGEST_START: Duration = Duration::from_secs(600);
/// How long a successor may take to begin to accept clients.
const BEGIN: Duration = Duration::from_secs(15);
/// How long background tasks wait for a store that cannot be taken back at once.
const STORE_BACK: Duration = Duration::from_secs(10);
/// The pause between two tries to take the store back, at first and later.
const RETRY: Duration = Duration::from_millis(100);
const SLOW_RETRY: Duration = Duration::from_secs(1);

/// What an instance hands over.
pub(crate) struct HandoverParts {
    pub(crate) data: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<ReleasableStore>,
    pub(crate) writer: Writer,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) api: Arc<ApiServer>,
    /// Lets everything rest that reads or writes the store, probes or fetches.
    pub(crate) pause: Pause,
    pub(crate) session_sync: Arc<Mutex<SessionSync>>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) connections: Arc<Connections>,
    /// The processes that drain since this one has taken over from them.
    pub(crate) draining: Arc<DrainingProcesses>,
    /// Ends this instance.
    pub(crate) stop: CancellationToken,
}

/// How far a handover is, and with which process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) pid: u32,
    pub(crate) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing has been handed over so far.
    None,
    /// The successor has the store and starts.
    Starting,
    /// The successor serves.
    Serves,
    /// It has failed, for this reason; this instance serves as before.
    Failed(String),
}

/// The handing over of one instance.
pub(crate) struct Handover {
    parts: HandoverParts,
    /// Held while something is handed over.
    alone: Mutex<()>,
    progress: watch::Sender<Progress>,
    handed_over: CancellationToken,
}

impl Handover {
    pub(crate) fn new(parts: HandoverParts) -> Self {
        let progress = watch::Sender::new(Progress { pid: 0, stage: Stage::None });
        Self { parts, alone: Mutex::default(), progress, handed_over: CancellationToken::new() }
    }

    /// Is cancelled when a successor serves, before this instance is asked to stop.
    pub(crate) const fn handed_over(&self) -> &CancellationToken {
        &self.handed_over
    }

    /// What is open at the gateway.
    pub(crate) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.parts.connections)
    }

    pub(super) const fn parts(&self) -> &HandoverParts {
        &self.parts
    }

    /// How far the last handover is, now and later.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Hands over to the process at the other end of a channel, which brings the store to `schema`. When it returns, that one serves, or this instance does as before.
    pub(super) async fn hand_over(&self, channel: &Channel, pid: u32, schema: i64) {
        let Ok(_alone) = self.alone.try_lock() else {
            return refuse(channel, "another process takes over just now".to_owned()).await;
        };
        if self.parts.stop.is_cancelled() {
            return refuse(channel, "this instance is about to end".to_owned()).await;
        }
        tracing::info!(pid, "another process takes over: background work stops, and the store is released");
        let tell = |stage| self.progress.send_replace(Progress { pid, stage });
        let successor = Successor::new(pid);
        if let Err(error) = self.release(schema).await {
            let reason = format!("{error:#}");
            tracing::error!(pid, "nothing was handed over: {reason}");
            self.resume();
            tell(Stage::Failed(reason.clone()));
            return refuse(channel, reason).await;
        }
        tell(Stage::Starting);
        let mut unwritten = Vec::new();
        match self.move_to(channel, &mut unwritten).await {
            Ok(()) => {
                self.leave(pid);
                tell(Stage::Serves);
                self.parts.stop.cancel();
            }
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::error!(pid, "the other process did not take over, this instance serves on: {reason}");
                refuse(channel, reason.clone()).await;
                tokio::spawn(successor.end_soon());
                self.take_back(unwritten).await;
                tell(Stage::Failed(reason));
            }
        }
    }

    /// Stops everything that uses the store, and closes it. Clients are served as before; those of the API wait at its socket.
    async fn release(&self, schema: i64) -> anyhow::Result<()> {
        let parts = &self.parts;
        timeout(API_PAUSE, parts.api.pause()).await.context("open requests of the API did not end in time")?;
        timeout(FLUSH, parts.pause.pause()).await.context("the background work did not end in time")?;
        let flushed = timeout(FLUSH, parts.writer.flush()).await;
        flushed.context("the store cannot be written now, and what waits in memory would be lost")??;
        if schema != hezar_store::newest_schema() {
            parts.store.keep_copy().await.context("no copy of the store could be made for the way back")?;
        }
        parts.store.release().await;
        Ok(())
    }

    fn resume(&self) {
        self.parts.pause.resume();
        self.parts.api.resume();
    }

    /// Gives the sockets away and waits until the successor serves. `unwritten` gets what the store has not seen by then.
    async fn move_to(&self, channel: &Channel, unwritten: &mut Vec<Change>) -> anyhow::Result<()> {
        let handed = self.parts.listeners.handed_sockets()?.into_iter().chain(self.parts.api.handed_socket()?);
        let (notes, sockets): (Vec<_>, Vec<_>) = handed
            .map(|(role, configured, socket)| (SocketNote { role, configured, protocol: socket.protocol() }, socket))
            .unzip();
        channel.send(&ToSuccessor::Released(notes)).await?;
        channel.send_sockets(&sockets).await?;
        drop(sockets);
        wait_until_ready(channel).await?;
        // Clients wait at the sockets from here on, for as long as a message takes.
        self.parts.listeners.pause_accepting();
        let mut session_sync = self.parts.session_sync.lock().await;
        unwritten.extend(session_sync.changes(self.parts.clock.now()));
        drop(session_sync);
        let sessions = reporter::session_notes(unwritten);
        let report = open_now(&self.parts.connections);
        // From here on a report is counted by one of the two processes alone, and each knows which.
        let counted = self.parts.draining.close();
        channel.send(&ToSuccessor::Go { sessions, report, counted }).await?;
        match channel.receive(BEGIN).await? {
            ToPredecessor::Serving => Ok(()),
            ToPredecessor::Failed(reason) => bail!(reason),
            ToPredecessor::Alive | ToPredecessor::Ready => bail!("it said something unexpected"),
        }
    }

    /// The successor serves: what is open here goes on until it ends.
    fn leave(&self, pid: u32) {
        tracing::info!(pid, open = self.parts.connections.len(), "the other process serves, this one drains");
        self.handed_over.cancel();
        self.parts.api.leave();
        self.parts.listeners.hand_over();
    }

    /// Accepts clients again at once, and takes the store back as soon as the other process has let go of it.
    async fn take_back(&self, unwritten: Vec<Change>) {
        let parts = &self.parts;
        parts.listeners.resume_accepting();
        parts.draining.reopen();
        let begun = Instant::now();
        let mut is_resumed = false;
        while let Err(error) = parts.store.take_back().await {
            if parts.stop.is_cancelled() {
                return;
            }
            let is_late = begun.elapsed() > STORE_BACK;
            if is_late && !is_resumed {
                // What changes waits in memory, as when the disk is full.
                tracing::error!(%error, "the store could not be taken back yet; it is tried again");
                self.resume();
                is_resumed = true;
            }
            sleep(if is_late { SLOW_RETRY } else { RETRY }).await;
        }
        if !unwritten.is_empty() {
            // The writer has ended only if this instance ends.
            let _ = parts.writer.put(unwritten).await;
        }
        self.resume();
        tracing::info!("the store was taken back");
    }
}

async fn refuse(channel: &Channel, reason: String) {
    // Whoever does not listen any more does not care.
    let _ = channel.send(&ToSuccessor::Refused(reason)).await;
}

/// Waits until a successor is ready, for as long as it says that it lives.
async fn wait_until_ready(channel: &Channel) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        match channel.receive(SILENCE).await? {
            ToPredecessor::Ready => return Ok(()),
            ToPredecessor::Alive if begun.elapsed() < LONGEST_START => {}
            ToPredecessor::Alive => bail!("it did not start within {} s", LONGEST_START.as_secs()),
            ToPredecessor::Failed(reason) => bail!(reason),
            ToPredecessor::Serving => bail!("it said something unexpected"),
        }
    }
}
