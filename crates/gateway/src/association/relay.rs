//! Carries the datagrams of one client over one node at a time, for as long as the client keeps its association.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hezar_core::{NodeId, Stage};
use hezar_engine::Datagram;
use tokio::time::Instant;

use super::{ClientDatagrams, MAX_DATAGRAM, Packet};
use crate::{
    AttemptError,
    access::{Access, Identity},
    connections::StreamMeter,
    context::Context,
    failover::{Association, AttemptReport, Failover},
    telemetry::{AccessLogEntry, ListenerMetrics},
};

/// Why a node no longer carries the association.
enum End {
    /// It failed.
    Failed(io::Error),
    /// It has not answered anything.
    Silent,
    /// The client has ended the association.
    Client,
}

/// A client's side, and the node of the moment.
pub(super) struct AssociationRelay<'a, C> {
    context: &'a Arc<Context>,
    identity: &'a Identity,
    client: SocketAddr,
    client_side: C,
    failover: Failover,
    association: Option<Association>,
    /// Whether the node has answered.
    answered: AtomicBool,
    /// The node of the moment.
    node: NodeId,
    /// Whether a silent node is kept: the client asked for a session, or no other node is left.
    settled: bool,
    /// When the first datagram went to the node.
    first_sent: Option<Instant>,
    /// The datagram that the node has not taken yet.
    waiting: Option<Packet>,
    meter: Arc<StreamMeter>,
    log_entry: AccessLogEntry,
}

impl<'a, C: ClientDatagrams> AssociationRelay<'a, C> {
    pub(super) fn new(
        context: &'a Arc<Context>,
        identity: &'a Identity,
        client: SocketAddr,
        client_side: C,
        failover: Failover,
        association: Association,
        log_entry: AccessLogEntry,
    ) -> Self {
        let meter = StreamMeter::new();
        if let Some(connection) = log_entry.connection() {
            meter.attach(connection);
        }
        Self {
            context,
            identity,
            client,
            client_side,
            failover,
            node: association.lease.id(),
            association: Some(association),
            answered: AtomicBool::new(false),
            settled: identity.options.session.is_some(),
            first_sent: None,
            waiting: None,
            meter,
            log_entry,
        }
    }

    /// What counts the bytes.
    pub(super) fn meter(&self) -> Arc<StreamMeter> {
        self.meter.clone()
    }

    /// It is over, for a reason with this code.
    pub(super) fn finish(mut self, code: &'static str) {
        self.note_silence();
        self.log_entry.code = code;
    }

    /// Carries datagrams until no node is left or the client ends it; returns the code that says why.
    pub(super) async fn run(&mut self) -> &'static str {
        loop {
            let Some(mut association) = self.association.take() else {
                // The node had proved itself and is gone: another one when there is something to send.
                if self.waiting.is_none() {
                    let Ok(packet) = self.client_side.receive().await else { return "ok" };
                    self.waiting = Some(packet);
                }
                self.failover = Failover::for_datagrams(&self.context.selection, self.identity, self.client.ip());
                match self.failover.connect_next_association().await {
                    Ok(association) => self.begin(association),
                    Err(refusal) => return refusal.code(),
                }
                continue;
            };
            let end = self.carry(&mut association).await;
            self.failover.renew();
            match end {
                End::Client => return "ok",
                End::Failed(error) => {
                    let fail = AttemptError::from_stream(Stage::Relay, &error);
                    tracing::debug!(node = %association.lease.id(), code = %fail.code, answered = self.answered.load(Relaxed), "association lost");
                    if self.answered.load(Relaxed) {
                        continue;
                    }
                    self.failover.association_failed(association, fail);
                    match self.failover.connect_next_association().await {
                        Ok(association) => self.begin(association),
                        Err(refusal) => return refusal.code(),
                    }
                }
                // Nobody is blamed: the target may be silent, and a node that carries no datagrams may carry streams.
                End::Silent => match self.failover.connect_next_association().await {
                    Ok(other) => {
                        self.note_silence();
                        self.begin(other);
                    }
                    Err(_) => {
                        self.settled = true;
                        self.association = Some(association);
                    }
                },
            }
        }
    }

    fn begin(&mut self, association: Association) {
        self.log_entry.moved(&association.lease, self.failover.attempts());
        self.node = association.lease.id();
        self.association = Some(association);
        (self.answered, self.first_sent) = (AtomicBool::new(false), None);
    }

    /// Remembers what the node has carried, for other associations.
    fn note_silence(&self) {
        let patience = self.context.config().udp_patience;
        if self.answered.load(Relaxed) {
            self.context.selection.udp_avoidance.remove(self.node);
        } else if self.first_sent.is_some_and(|first| first.elapsed() >= patience) {
            self.context.selection.udp_avoidance.insert(self.node, self.context.telemetry.clock.now());
        }
    }

    /// Both directions over one node.
    async fn carry(&mut self, association: &mut Association) -> End {
        let Association { datagram, report, .. } = association;
        let sides = Sides {
            client_side: &self.client_side,
            meter: &self.meter,
            metrics: &self.context.telemetry.metrics,
            answered: &self.answered,
            patience: self.context.config().udp_patience,
            identity: self.identity,
            access: &self.context.access,
        };
        tokio::select! {
            end = sides.up(&**datagram, &mut self.waiting, &mut self.first_sent, self.settled) => end,
            error = sides.down(&**datagram, report) => End::Failed(error),
        }
    }
}

/// What the two directions share.
struct Sides<'a, C> {
    client_side: &'a C,
    meter: &'a StreamMeter,
    metrics: &'a ListenerMetrics,
    answered: &'a AtomicBool,
    patience: Duration,
    identity: &'a Identity,
    access: &'a Access,
}

impl<C: ClientDatagrams> Sides<'_, C> {
    /// From the client to the node, until that fails or has been silent for too long. A datagram that the node did not
    /// take stays in `waiting`.
    async fn up(
        &self,
        node: &dyn Datagram,
        waiting: &mut Option<Packet>,
        first_sent: &mut Option<Instant>,
        settled: bool,
    ) -> End {
        loop {
            let packet = match waiting {
                Some(packet) => packet,
                None => match self.client_side.receive().await {
                    Ok(packet) => waiting.insert(packet),
                    Err(_) => return End::Client,
                },
            };
            if let Err(refusal) = self.access.check_target(self.identity, &packet.target) {
                self.metrics.dropped(refusal.code());
                *waiting = None;
                continue;
            }
            let silent = first_sent.is_some_and(|first| first.elapsed() >= self.patience);
            if silent && !settled && !self.answered.load(Relaxed) {
                return End::Silent;
            }
            match node.send_to(&packet.payload, &packet.target).await {
                Ok(()) => {
                    self.meter.add_up(packet.payload.len());
                    self.metrics.datagram("up");
                    first_sent.get_or_insert_with(Instant::now);
                }
                Err(error) if concerns_one_datagram(&error) => self.metrics.dropped("unsendable"),
                Err(error) => return End::Failed(error),
            }
            // Meanwhile the client's datagrams wait in the socket, as many as fit.
            let bytes = waiting.take().map_or(0, |packet| packet.payload.len());
            self.identity.admission.throttle(bytes).await;
        }
    }

    /// From the node to the client, until the node fails.
    async fn down(&self, node: &dyn Datagram, report: &mut AttemptReport) -> io::Error {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            match node.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    self.answered.store(true, Relaxed);
                    report.succeeded();
                    self.meter.add_down(length);
                    self.metrics.datagram("down");
                    self.client_side.send(&from, buffer.get(..length).unwrap_or_default()).await;
                    self.identity.admission.throttle(length).await;
                }
                Err(error) => return error,
            }
        }
    }
}

/// The datagram cannot be sent; the node is not to blame and goes on.
fn concerns_one_datagram(error: &io::Error) -> bool {
    /// EMSGSIZE (Linux).
    const TOO_LARGE: i32 = 90;
    error.kind() == io::ErrorKind::InvalidInput || error.raw_os_error() == Some(TOO_LARGE)
}
