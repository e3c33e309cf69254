//! Gives the PROBE core the nodes that are to be checked, in batches: each is a provider of the core, which is emptied when the checks
//! of its nodes have ended.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::NodeId;
use hezar_sidecar::{ControllerError, RefusedProxy};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The most batches at a time. Each provider of a core takes one of the system's inotify instances, of which a user has 128 by default.
pub(super) const BATCHES: usize = 16;
/// How long further nodes are waited for when a batch begins.
const GATHER: Duration = Duration::from_millis(10);
/// Nodes that wait for a batch; more of them wait before they are in line.
const MOST_WAITING: usize = 4096;
/// How long nothing is asked for until batches that are over are emptied: some nodes keep a session with their server up.
const IDLE: Duration = Duration::from_secs(1);

/// The pause after a core was not there.
const ABSENCE: Duration = Duration::from_millis(500);
/// The status with which a core says that it has no such provider.
const NOT_FOUND: u16 = 404;

/// What gives a core the nodes of one batch in the place of those before.
#[async_trait]
pub(super) trait BatchLoader: Send + Sync {
    /// Loads the batch `number`, of [`BATCHES`].
    ///
    /// # Errors
    /// [`ControllerError::Refused`] with the core's message when it does not take a node; others when it cannot be asked.
    async fn load(&self, number: usize, entries: &[Arc<str>]) -> Result<(), ControllerError>;
}

/// A batch that a core has; it is free again when no node of it is being checked any more.
#[derive(Debug)]
pub(super) struct Batch {
    number: usize,
    free: mpsc::UnboundedSender<usize>,
}

impl Batch {
    /// The provider of the core.
    pub(super) fn provider(&self) -> String {
        provider(self.number)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Nobody waits for it any more at the end.
        let _ = self.free.send(self.number);
    }
}

/// The provider of a batch.
pub(super) fn provider(number: usize) -> String {
    format!("batch-{number}")
}

/// What became of a node that was to be loaded.
#[derive(Debug)]
pub(super) enum Loaded {
    /// The core has it, for as long as this is held.
    In(Arc<Batch>),
    /// The core refuses it, for this reason.
    Refused(String),
    /// The core cannot be asked.
    Unavailable,
}

struct Waiting {
    id: NodeId,
    entry: Arc<str>,
    loaded: oneshot::Sender<Loaded>,
}

/// The line of nodes that wait for a batch, and the batches.
pub(super) struct Batches<L> {
    loader: L,
    most: usize,
    line: mpsc::Sender<Waiting>,
    /// Whether the core was there when it was asked last.
    is_there: AtomicBool,
    state: Mutex<State>,
}

struct State {
    waiting: mpsc::Receiver<Waiting>,
    freed: mpsc::UnboundedReceiver<usize>,
    free: mpsc::UnboundedSender<usize>,
    /// Those that can be loaded.
    idle: Vec<usize>,
    /// Which of them still hold nodes.
    is_full: [bool; BATCHES],
    /// What was split off a batch that the core refused without naming a node.
    split: VecDeque<Vec<Waiting>>,
}

impl<L: BatchLoader> Batches<L> {
    /// Batches of at most so many nodes.
    pub(super) fn new(loader: L, most: usize) -> Self {
        let (line, waiting) = mpsc::channel(MOST_WAITING);
        let (free, freed) = mpsc::unbounded_channel();
        let state = State {
            waiting,
            freed,
            free,
            idle: (0..BATCHES).collect(),
            is_full: [false; BATCHES],
            split: VecDeque::new(),
        };
        Self { loader, most, line, is_there: AtomicBool::new(true), state: Mutex::new(state) }
    }

    /// Whether the core was there when it was asked last.
    pub(super) fn is_core_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// Notes whether the core is there, and tells when that changes.
    fn note_core(&self, absence: Option<&ControllerError>) {
        let was_there = self.is_there.swap(absence.is_none(), Ordering::Relaxed);
        match absence {
            Some(error) if was_there => tracing::warn!("the PROBE core did not take nodes: {error}"),
            None if !was_there => tracing::info!("the PROBE core takes nodes again"),
            _ => {}
        }
    }

    /// Waits until the core has a node.
    pub(super) async fn load(&self, id: NodeId, entry: Arc<str>) -> Loaded {
        let (loaded, result) = oneshot::channel();
        if self.line.send(Waiting { id, entry, loaded }).await.is_err() {
            return Loaded::Unavailable;
        }
        result.await.unwrap_or(Loaded::Unavailable)
    }

    /// Loads batches until `stop`.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut state = self.state.lock().await;
        stop.run_until_cancelled(async {
            loop {
                let Some(batch) = self.next_batch(&mut state).await else { return };
                let number = self.free_batch(&mut state).await;
                let batch = self.fill(&mut state, batch);
                self.load_batch(&mut state, number, batch).await;
            }
        })
        .await;
    }

    /// The beginning of the next batch. While nothing waits, batches that are over are emptied.
    async fn next_batch(&self, state: &mut State) -> Option<Vec<Waiting>> {
        if let Some(split) = state.split.pop_front() {
            return Some(split);
        }
        loop {
            tokio::select! {
                waiting = state.waiting.recv() => {
                    let first = waiting?;
                    sleep(GATHER).await;
                    return Some(vec![first]);
                }
                freed = state.freed.recv() => state.idle.extend(freed),
                () = sleep(IDLE), if state.idle.iter().any(|number| state.is_full[*number]) => self.empty(state).await,
            }
        }
    }

    /// Empties the batches that are over.
    async fn empty(&self, state: &mut State) {
        for number in state.idle.clone() {
            if std::mem::take(&mut state.is_full[number]) && self.loader.load(number, &[]).await.is_err() {
                // A core that is started again is asked anew.
                return;
            }
        }
    }

    /// A batch that can be loaded.
    async fn free_batch(&self, state: &mut State) -> usize {
        while let Ok(number) = state.freed.try_recv() {
            state.idle.push(number);
        }
        match state.idle.pop() {
            Some(number) => number,
            // The state holds a sender, so that there is always another one.
            None => state.freed.recv().await.unwrap_or_default(),
        }
    }

    /// Takes in who waits, up to the size of a batch. Who has given up is left out.
    fn fill(&self, state: &mut State, mut batch: Vec<Waiting>) -> Vec<Waiting> {
        while batch.len() < self.most {
            let Ok(waiting) = state.waiting.try_recv() else { break };
            batch.push(waiting);
        }
        batch.retain(|waiting| !waiting.loaded.is_closed());
        batch
    }

    /// Loads a batch without the nodes that the core refuses.
    async fn load_batch(&self, state: &mut State, number: usize, mut batch: Vec<Waiting>) {
        while !batch.is_empty() {
            let entries: Vec<Arc<str>> = batch.iter().map(|waiting| Arc::clone(&waiting.entry)).collect();
            let refusal = match self.loader.load(number, &entries).await {
                Ok(()) => {
                    self.note_core(None);
                    state.is_full[number] = true;
                    let loaded = Arc::new(Batch { number, free: state.free.clone() });
                    batch.into_iter().for_each(|waiting| waiting.answer(Loaded::In(Arc::clone(&loaded))));
                    return;
                }
                Err(error) => error,
            };
            let Some(message) = refused_content(&refusal) else {
                self.note_core(Some(&refusal));
                batch.into_iter().for_each(|waiting| waiting.answer(Loaded::Unavailable));
                sleep(ABSENCE).await;
                break;
            };
            match RefusedProxy::find(message).filter(|refused| refused.index < batch.len()) {
                Some(refused) => batch.remove(refused.index).answer(Loaded::Refused(refused.reason)),
                None if batch.len() > 1 => state.split.push_back(batch.split_off(batch.len() / 2)),
                None => batch.drain(..).for_each(|waiting| waiting.answer(Loaded::Refused(message.to_owned()))),
            }
        }
        state.idle.push(number);
    }
}

/// What a core says against the nodes that it was given; `None` when it has not looked at them.
fn refused_content(error: &ControllerError) -> Option<&str> {
    match error {
        // A core that has just been started does not know its providers yet.
        ControllerError::Refused { status, .. } if status.as_u16() == NOT_FOUND => None,
        error => error.refusal(),
    }
}

impl Waiting {
    fn answer(self, loaded: Loaded) {
        if let Loaded::Refused(reason) = &loaded {
            tracing::warn!(node = %self.id, "the PROBE core refuses a node, which is set aside: {reason}");
        }
        // The prober may have given up.
        let _ = self.loaded.send(loaded);
    }
}

#[cfg(test)]
mod tests;
