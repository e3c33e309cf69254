//! Answers at the takeover socket: to successors, to commands, and to processes that drain.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    channel::Channel,
    draining::{DrainingProcesses, SILENCE},
    endpoint::{Endpoint, Peer},
    handover::Handover,
    messages::{PROTOCOL, Report, Request, ToSuccessor},
    program::Program,
    upgrade::upgrade,
};

/// Connections at a time.
const MOST_CONNECTIONS: usize = 128;
/// How long a connection may take to say what it wants.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// How long conversations may go on after the end was asked for: a handover that is under way comes to its end.
const LAST_WORDS: Duration = Duration::from_secs(20);
/// The pause after a failed accept.
const PAUSE: Duration = Duration::from_secs(1);

/// What answers at the takeover socket.
pub(crate) struct TakeoverServer {
    pub(crate) handover: Arc<Handover>,
    pub(crate) draining: Arc<DrainingProcesses>,
    pub(crate) program: Program,
}

impl TakeoverServer {
    /// Answers until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let data = &self.handover.parts().data;
        let mut endpoint = match Endpoint::bind(data) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                tracing::warn!(
                    %error, folder = %data.display(),
                    "there is no socket in the data folder: `hezar upgrade` cannot reach this instance"
                );
                return stop.cancelled().await;
            }
        };
        let (tasks, room) = (TaskTracker::new(), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = endpoint.accept() => accepted,
                () = sleep(SILENCE) => {
                    self.draining.forget_silent();
                    continue;
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Who finds no room is turned away.
                    let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                    let (server, stop) = (Arc::clone(&self), stop.clone());
                    tasks.spawn(async move {
                        server.serve(stream, peer, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the takeover socket failed");
                    sleep(PAUSE).await;
                }
            }
        }
        if self.handover.handed_over().is_cancelled() {
            // The file is the successor's.
            endpoint.leave_file();
        }
        drop(endpoint);
        tasks.close();
        let _ = timeout(LAST_WORDS, tasks.wait()).await;
    }

    async fn serve(&self, stream: UnixStream, peer: Peer, stop: CancellationToken) {
        let channel = Channel::new(stream);
        // Who has not said anything does not hold the end up.
        let first = tokio::select! {
            first = channel.receive(FIRST_MESSAGE) => first,
            () = stop.cancelled() => return,
        };
        match first {
            Ok(Request::Takeover { protocol, pid, version, schema }) => {
                if let Some(reason) = refusal(protocol, peer) {
                    tracing::warn!(pid, version, "a process was not let to take over: {reason}");
                    let _ = channel.send(&ToSuccessor::Refused(reason)).await;
                    return;
                }
                tracing::info!(pid, version, "a process asks to take over");
                // The system's word counts, where it gives one.
                self.handover.hand_over(&channel, peer.pid.unwrap_or(pid), schema).await;
            }
            Ok(Request::Upgrade(request)) => upgrade(&self.handover, &self.program, request, &channel).await,
            Ok(Request::Report(report)) => self.follow(&channel, report, stop).await,
            Err(error) => tracing::debug!("a conversation at the takeover socket: {error:#}"),
        }
    }

    /// Takes the reports of one process until it has ended.
    async fn follow(&self, channel: &Channel, first: Report, stop: CancellationToken) {
        let pid = first.pid;
        let mut report = first;
        // Whoever gets no answer asks the successor.
        while let Some(answer) = self.draining.take(report) {
            if channel.send(&answer).await.is_err() {
                break;
            }
            let next = tokio::select! {
                next = channel.receive(SILENCE) => next,
                // The successor will be told.
                () = stop.cancelled() => break,
            };
            match next {
                Ok(Request::Report(next)) if next.pid == pid => report = next,
                _ => break,
            }
        }
        self.draining.disconnected(pid);
    }
}

/// Why a process may not take over; `None` when it may.
fn refusal(protocol: u32, peer: Peer) -> Option<String> {
    if !peer.is_same_user {
        return Some("it runs as another user".to_owned());
    }
    if protocol != PROTOCOL {
        return Some(
            "it is another version, with another way to take over: stop this one and start that one".to_owned(),
        );
    }
    (std::process::id() == 1).then(|| "this is the first process of a container, which ends with it".to_owned())
}
