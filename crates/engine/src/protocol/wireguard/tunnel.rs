//! One WireGuard tunnel: a task between the stack at our end and the datagrams to the server. It begins with the first
//! stream and ends when none is left for a while.

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
/// How often the protocol's own timers are looked at; they count seconds.
const TICK: Duration = Duration::from_millis(250);
/// The longest datagram, and room around it for the protocol.
const MAX_DATAGRAM: usize = 65535;
/// The datagrams read before the stack is polled again.
const BATCH: usize = 64;

/// How far the tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Up,
    Over,
}

/// What streams share with the task.
pub(super) struct Tunnel {
    pub(super) stack: Mutex<Stack>,
    /// Something changed in the stack.
    pub(super) changed: Notify,
    pub(super) names: Names,
    phase: watch::Sender<Phase>,
    cause: Mutex<Option<Cause>>,
}

/// The way to the server.
pub(super) struct Link {
    pub(super) datagrams: BoxDatagram,
    pub(super) server: Target,
    pub(super) reserved: [u8; 3],
}

impl Link {
    /// Sends one message, marked with the reserved bytes. The mark is not part of what the protocol signs.
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
    /// Why the tunnel is over.
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
    /// Until the tunnel is not needed, or cannot be had.
    async fn run(mut self) -> Result<(), Cause> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut packets = Vec::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut used = Instant::now();
        // Told when too many connections of all nodes are idle, and this is the one to close.
        let (close, mut ticket) = (Arc::new(Notify::new()), None);
        if let TunnResult::WriteToNetwork(message) = self.tunn.format_handshake_initiation(&mut self.out, false) {
            self.link.send(message).await?;
        }
        loop {
            let delay = self.tunnel.stack.lock().poll(&mut packets);
            for packet in packets.drain(..) {
                if let TunnResult::WriteToNetwork(message) = self.tunn.encapsulate(&packet, &mut self.out) {
                    // A datagram may be lost; whether the server is there shows in what it answers.
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
                        // Said under the lock, so that no stream begins on what ends.
                        stack.over = true;
                        return Ok(());
                    }
                }
            }
        }
    }

    /// One datagram from the server, whoever that is: what is not sealed for us is dropped.
    async fn received(&mut self, buffer: &mut [u8], length: usize) {
        if let Some(reserved) = buffer.get_mut(1..4) {
            reserved.fill(0);
        }
        let mut message: &[u8] = buffer.get(..length).unwrap_or_default();
        // An empty message would mean something else to the protocol.
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
