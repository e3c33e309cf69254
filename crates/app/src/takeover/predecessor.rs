//! The instance that a new process takes over from, as the new one sees it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::{sync::Mutex, time::interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    channel::{Channel, is_end},
    endpoint,
    messages::{CountedReport, PROTOCOL, Report, Request, SessionNote, ToPredecessor, ToSuccessor},
};
use crate::inherited_sockets::{BoundSocket, InheritedSocket, InheritedSockets};

/// How long the predecessor may take to release the store.
const RELEASE: Duration = Duration::from_secs(90);
/// How long it may take to say that clients are ours.
const GO: Duration = Duration::from_secs(20);
/// How often it is told that this process lives.
const ALIVE_EVERY: Duration = Duration::from_secs(2);

/// A running instance that has released its store for this process, and waits until this one serves.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: Arc<Channel>,
    /// Ends the signs of life when it is dropped.
    alive: Mutex<Option<DropGuard>>,
}

/// What has changed since the predecessor's store was released, and what is open there.
#[derive(Debug, Default)]
pub(crate) struct LastNews {
    pub(crate) sessions: Vec<SessionNote>,
    pub(crate) report: Report,
    pub(crate) counted: Vec<CountedReport>,
}

impl Predecessor {
    /// Asks the instance that runs with this data folder to hand over; `None` when none runs that could. With it come its listening
    /// sockets. It goes on serving until [`Predecessor::ready`] has returned.
    ///
    /// # Errors
    /// It does not hand over, with its reason.
    pub(crate) async fn ask(data: &Path) -> anyhow::Result<Option<(Self, InheritedSockets)>> {
        let Some(stream) =
            endpoint::connect(data).await.context("the running instance cannot be asked to hand over")?
        else {
            return Ok(None);
        };
        let channel = Arc::new(Channel::new(stream));
        let (pid, version) = (std::process::id(), crate::version::VERSION.to_owned());
        let schema = hezar_store::newest_schema();
        channel.send(&Request::Takeover { protocol: PROTOCOL, pid, version, schema }).await?;
        let notes = match channel.receive(RELEASE).await {
            Ok(ToSuccessor::Released(notes)) => notes,
            Ok(ToSuccessor::Refused(reason)) => bail!("the running instance does not hand over: {reason}"),
            Ok(ToSuccessor::Go { .. }) => bail!("the running instance said something unexpected"),
            Err(error) if is_end(&error) => {
                tracing::warn!("the instance before has ended before it handed over");
                return Ok(None);
            }
            Err(error) => return Err(error).context("the running instance does not hand over"),
        };
        let sockets = channel.receive_sockets(notes.len(), RELEASE).await?;
        let inherited = notes.into_iter().zip(sockets);
        let inherited = inherited.map(|(note, descriptor)| {
            let socket = BoundSocket::from_descriptor(note.protocol, descriptor);
            InheritedSocket::new(note.role, Some(note.configured), socket)
        });
        let inherited: std::io::Result<Vec<_>> = inherited.collect();
        let inherited = inherited.context("a listening socket of the running instance cannot be used")?;
        tracing::info!(sockets = inherited.len(), "the running instance has released its store for this process");
        let alive = CancellationToken::new();
        tokio::spawn(say_alive(Arc::clone(&channel), alive.clone()));
        let alive = Mutex::new(Some(alive.drop_guard()));
        Ok(Some((Self { channel, alive }, InheritedSockets::new(inherited))))
    }

    /// Says that everything is built, and waits until the clients are this process's. The predecessor accepts none any more when
    /// this returns; or it was killed meanwhile, and left the sockets and the store to this process.
    ///
    /// # Errors
    /// The predecessor has given this process up, and serves itself.
    pub(crate) async fn ready(&self) -> anyhow::Result<LastNews> {
        drop(self.alive.lock().await.take());
        let answer = match self.channel.send(&ToPredecessor::Ready).await {
            Ok(()) => self.channel.receive(GO).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(ToSuccessor::Go { sessions, report, counted }) => Ok(LastNews { sessions, report, counted }),
            Ok(ToSuccessor::Refused(reason)) => bail!("the instance before has given this process up: {reason}"),
            Ok(ToSuccessor::Released(_)) => bail!("the instance before said something unexpected"),
            Err(error) if is_end(&error) => {
                tracing::warn!("the instance before has ended while it handed over: this one serves");
                Ok(LastNews::default())
            }
            Err(error) => Err(error).context("the instance before does not leave its clients"),
        }
    }

    /// Says that this process accepts clients; the predecessor drains from now on. One that cannot be told has ended: one that gives this
    /// process up says so, and ends it.
    pub(crate) async fn serving(&self) {
        if let Err(error) = self.channel.send(&ToPredecessor::Serving).await {
            tracing::warn!("the instance before has ended: {error:#}");
        }
    }

    /// Says why this process gives up.
    pub(crate) async fn failed(&self, error: &anyhow::Error) {
        // Whoever does not listen any more knows already.
        let _ = self.channel.send(&ToPredecessor::Failed(format!("{error:#}"))).await;
    }
}

/// Says now and then that this process lives, so that a slow start is told from one that hangs.
async fn say_alive(channel: Arc<Channel>, ended: CancellationToken) {
    let mut ticks = interval(ALIVE_EVERY);
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if channel.send(&ToPredecessor::Alive).await.is_err() {
            return;
        }
    }
}
