//! Brings messages to their receivers: over nodes or directly as the alert says, a few at a time, and again when that fails.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use hezar_engine::{
    Attempt, Clock, Dialer, TlsClients,
    http::{ResponseLimits, send},
};
use hezar_fetch::Via;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{AlertBoard, AlertMetrics, message::Message};
use crate::config::AlertConfig;

/// Messages that wait at most; one more is dropped and counted.
const MOST_WAITING: usize = 64;
/// Messages that are sent at a time.
const AT_A_TIME: usize = 4;
/// How long one try may take.
const TRY: Duration = Duration::from_secs(30);
/// The pauses between the tries of a message.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600)];

/// A message, and whom it is for.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) config: AlertConfig,
    pub(super) message: Message,
}

/// What carries messages.
pub(crate) struct Routes {
    /// Over nodes of the pool.
    pub(crate) pool: Arc<dyn Dialer>,
    /// By this machine's own sockets.
    pub(crate) direct: Arc<dyn Dialer>,
    pub(crate) tls: TlsClients,
    /// Whether a node carries traffic.
    pub(crate) has_nodes: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Brings messages to their receivers.
pub(crate) struct AlertSender {
    routes: Routes,
    clock: Clock,
    metrics: AlertMetrics,
    board: Arc<AlertBoard>,
    queue: mpsc::Sender<Outgoing>,
    /// Held by the one task that sends.
    waiting: Mutex<mpsc::Receiver<Outgoing>>,
}

impl AlertSender {
    pub(crate) fn new(routes: Routes, clock: Clock, metrics: AlertMetrics, board: Arc<AlertBoard>) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        Self { routes, clock, metrics, board, queue, waiting: Mutex::new(waiting) }
    }

    /// Leaves a message to the task that sends.
    pub(super) fn leave(&self, outgoing: Outgoing) {
        if let Err(error) = self.queue.try_send(outgoing) {
            let outgoing = error.into_inner();
            tracing::warn!(alert = %outgoing.config.name, "a message of an alert was dropped: too many wait");
            self.metrics.ended(&outgoing.config.name, "dropped");
        }
    }

    /// Sends what is left here until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut waiting = self.waiting.lock().await;
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = running.join_next() => {}
                Some(outgoing) = waiting.recv(), if running.len() < AT_A_TIME => {
                    let sender = Arc::clone(&self);
                    running.spawn(async move { sender.keep_trying(outgoing).await });
                }
            }
        }
    }

    async fn keep_trying(&self, outgoing: Outgoing) {
        let name = &*outgoing.config.name;
        let mut pauses = PAUSES.into_iter();
        loop {
            let Err(error) = self.deliver(&outgoing).await else {
                self.metrics.ended(name, "sent");
                return;
            };
            let Some(pause) = pauses.next() else {
                tracing::warn!(alert = name, "a message could not be sent: {error:#}");
                self.metrics.ended(name, "failed");
                return;
            };
            tracing::info!(alert = name, ?pause, "a message is sent again: {error:#}");
            sleep(pause).await;
        }
    }

    /// Tries once to bring a message to its receiver, and notes how that ended.
    ///
    /// # Errors
    /// Why it did not arrive; no URL and no token is in it.
    pub(super) async fn deliver(&self, outgoing: &Outgoing) -> anyhow::Result<()> {
        let ended = self.try_routes(outgoing).await;
        let error = ended.as_ref().err().map(|error| format!("{error:#}"));
        self.board.note_message(&outgoing.config.name, self.clock.now(), error);
        ended
    }

    async fn try_routes(&self, outgoing: &Outgoing) -> anyhow::Result<()> {
        let (pool, direct) = (&self.routes.pool, &self.routes.direct);
        match outgoing.config.via {
            Via::Direct => self.send_over(&**direct, outgoing).await,
            Via::Auto => match self.send_over(&**pool, outgoing).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    tracing::debug!(alert = %outgoing.config.name, "not over nodes: {error:#}");
                    self.send_over(&**direct, outgoing).await
                }
            },
            Via::Pool => match self.send_over(&**pool, outgoing).await {
                Err(error) if !(self.routes.has_nodes)() => Err(anyhow!(
                    "no node works, and via = \"pool\" sends over nodes alone ({error}); via = \"auto\" would then send by this \
                     machine's own sockets"
                )),
                ended => ended,
            },
        }
    }

    async fn send_over(&self, dialer: &dyn Dialer, outgoing: &Outgoing) -> anyhow::Result<()> {
        let request = outgoing.message.request(&outgoing.config).context("the receiver cannot be used")?;
        let attempt = Attempt::within(TRY);
        let answer = send(dialer, &self.routes.tls, &request, &attempt, ResponseLimits::default()).await;
        // The text of such an error has its cause in it.
        let answer = answer.map_err(|error| anyhow!("{error}"))?;
        if !(200..300).contains(&answer.status()) {
            bail!("the receiver answered with the status {}", answer.status());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
