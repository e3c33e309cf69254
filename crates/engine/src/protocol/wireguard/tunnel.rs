//! One WireGuard tunnel: a task between the stack at our end and the datagrams to the server. It starts with the first
//! stream and ends when there has been none for a while.

use std::{sync::Arc, time::Duration};

use boringtun::noise::{Tunn, TunnResult, errors::WireGuardError};
use futures_util::FutureExt;
use hezar_core::Target;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{names::Names, stack::Stack};
use crate::{BoxDatagram, Cause, budget::IdleConnections};

/// How long a tunnel without streams stays.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How often the timers of the protocol are checked. They count seconds.
const TICK: Duration = Duration::from_millis(250);
/// The longest datagram, with room for the protocol's header, in bytes.
const MAX_DATAGRAM: usize = 65535;
/// The most datagrams that are read before the stack is polled again.
const BATCH: usize = 64;

/// How far the tunnel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Up,
    Over,
}

/// What streams share with the task.
pub(super) struct Tunnel {
    pub(super) stack: Mutex<Stack>,
    /// Notified when something has changed in the stack.
    pub(super) changed: Notify,
    pub(super) names: Names,
    phase: watch::Sender<Phase>,
    cause: Mutex<Option<Cause>>,
}

/// The association to the server, and what marks our messages.
pub(super) struct Link {
    pub(super) datagrams: BoxDatagram,
    pub(super) server: Target,
    pub(super) reserved: [u8; 3],
}

impl Link {
    /// Sends one message, marked with the reserved bytes. The protocol does not authenticate these bytes.
    async fn send(&self, message: &mut [u8]) -> std::io::Result<()> {
        if let Some(reserved) = message.get_mut(1..4) {
            reserved.copy_from_slice(&self.reserved);
        }
        self.datagrams.send_to(message, &self.server).await
    }
}

impl Tunnel {
    /// Starts the task.
    pub(super) fn start(stack: Stack, tunn: Tunn, link: Link, idle: Arc<IdleConnections>) -> Arc<Self> {
        let tunnel = Arc::new(Self {
            stack: Mutex::new(stack),
            changed: Notify::new(),
            names: Names::default(),
            phase: watch::Sender::new(Phase::Waiting),
            cause: Mutex::new(None),
        });
        let shared = Arc::clone(&tunnel);
        tokio::spawn(async move {
            let out = vec![0; MAX_DATAGRAM + 256];
            let cause = Task { tunnel: &shared, tunn, link, idle, out }.run().await;
            *shared.cause.lock() = cause.err();
            shared.stack.lock().end();
            shared.phase.send_replace(Phase::Over);
        });
        tunnel
    }

    /// Waits until the server has answered.
    ///
    /// # Errors
    /// The cause for which the tunnel has ended.
    pub(super) async fn up(&self) -> Result<(), Cause> {
        let mut phase = self.phase.subscribe();
        match phase.wait_for(|phase| *phase != Phase::Waiting).await.map(|phase| *phase) {
            Ok(Phase::Up) => Ok(()),
            _ => Err(self.cause.lock().take().unwrap_or(Cause::Closed)),
        }
    }
}

struct Task<'a> {
    tunnel: &'a Tunnel,
    tunn: Tunn,
    link: Link,
    idle: Arc<IdleConnections>,
    out: Vec<u8>,
}

impl Task<'_> {
    /// Runs until the tunnel is not needed any more, or has failed.
    async fn run(mut self) -> Result<(), Cause> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut packets = Vec::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut used = Instant::now();
        // Notified when too many connections of all nodes are idle, and this one is to be closed.
        let (close, mut ticket) = (Arc::new(Notify::new()), None);
        if let TunnResult::WriteToNetwork(message) = self.tunn.format_handshake_initiation(&mut self.out, false) {
            self.link.send(message).await?;
        }
        loop {
            let delay = self.tunnel.stack.lock().poll(&mut packets);
            for packet in packets.drain(..) {
                if let TunnResult::WriteToNetwork(message) = self.tunn.encapsulate(&packet, &mut self.out) {
                    // A datagram may be lost. Only the server's answers show whether it is there.
                    let _ = self.link.send(message).await;
                }
            }
            tokio::select! {
                received = self.link.datagrams.recv_from(&mut buffer) => {
                    let (length, _) = received?;
                    self.received(&mut buffer, length).await;
                    for _ in 1..BATCH {
                        let Some(next) = self.link.datagrams.recv_from(&mut buffer).now_or_never() else { break };
                        let (length, _) = next?;
                        self.received(&mut buffer, length).await;
                    }
                }
                () = self.tunnel.changed.notified() => {}
                () = close.notified() => {
                    let mut stack = self.tunnel.stack.lock();
                    if !stack.is_used() {
                        stack.over = true;
                        return Ok(());
                    }
                }
                () = sleep(delay.unwrap_or(IDLE_LIMIT)) => {}
                _ = ticks.tick() => {
                    match self.tunn.update_timers(&mut self.out) {
                        TunnResult::WriteToNetwork(message) => drop(self.link.send(message).await),
                        TunnResult::Err(WireGuardError::ConnectionExpired) => return Err(Cause::Timeout),
                        _ => {}
                    }
                    let mut stack = self.tunnel.stack.lock();
                    if stack.is_used() {
                        (used, ticket) = (Instant::now(), None);
                        continue;
                    }
                    ticket.get_or_insert_with(|| self.idle.enter(&close));
                    if used.elapsed() >= IDLE_LIMIT {
                        // The end is noted under the lock, so that no stream begins on a tunnel that ends.
                        stack.over = true;
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Takes one datagram. It is dropped unless it was encrypted for us, whatever address it came from.
    async fn received(&mut self, buffer: &mut [u8], length: usize) {
        if let Some(reserved) = buffer.get_mut(1..4) {
            reserved.fill(0);
        }
        let mut message: &[u8] = buffer.get(..length).unwrap_or_default();
        // An empty datagram has another meaning for the protocol library.
        while !message.is_empty() || length > 0 {
            match self.tunn.decapsulate(None, message, &mut self.out) {
                TunnResult::WriteToNetwork(answer) => {
                    let _ = self.link.send(answer).await;
                    message = &[];
                }
                TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                    self.tunnel.stack.lock().receive(packet);
                    break;
                }
                TunnResult::Done | TunnResult::Err(_) => break,
            }
        }
        if *self.tunnel.phase.borrow() == Phase::Waiting && self.tunn.stats().0.is_some() {
            self.tunnel.phase.send_replace(Phase::Up);
        }
    }
}
