//! SOCKS5 UDP ASSOCIATE (RFC 1928 §7): datagrams over one node at a time, for as long as the client keeps its stream.

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
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

use super::{
    super::ClientBuffer,
    udp_relay_socket::{MAX_DATAGRAM, Packet, UdpRelaySocket},
    wire,
};
use crate::{
    AttemptError, Refusal,
    access::{Access, Identity},
    connections::StreamMeter,
    context::Context,
    failover::{Association, AttemptReport, Failover},
    telemetry::{AccessLogEntry, GaugeGuard, InboundKind, ListenerMetrics},
    tunnel,
};

/// Serves one association to its end.
pub(in crate::inbound) async fn serve(
    context: &Arc<Context>,
    mut buffer: ClientBuffer,
    client: SocketAddr,
    identity: &Identity,
    port: u16,
) {
    let mut log_entry = AccessLogEntry::new(&context.telemetry, InboundKind::Udp, client);
    log_entry.begin(identity, None);
    let end = log_entry.end();
    let mut failover = Failover::for_datagrams(&context.selection, identity, client.ip());
    let Some(_slot) = context.access.associations.take(context.config().max_associations) else {
        return refuse(context, log_entry, buffer, &Refusal::AssociationLimit, 0).await;
    };
    let (socket, address) = match open(context, &buffer, client, port).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, "no socket for an association");
            return refuse(context, log_entry, buffer, &Refusal::AssociationLimit, 0).await;
        }
    };
    let association = tokio::select! {
        biased;
        association = failover.connect_next_association() => association,
        // The entry in the log says that the client is gone.
        () = buffer.client_hung_up() => return,
        refusal = end.wait() => Err(refusal),
    };
    let association = match association {
        Ok(association) => association,
        Err(refusal) => return refuse(context, log_entry, buffer, &refusal, failover.attempts()).await,
    };
    log_entry.served(&association.lease, failover.attempts());
    if buffer.write(&wire::associated(address)).await.is_err() {
        return;
    }
    let _open = GaugeGuard::new(&context.telemetry.metrics.associations);
    let mut relay = AssociationRelay {
        context,
        identity,
        client,
        socket,
        failover,
        node: association.lease.id(),
        association: Some(association),
        answered: AtomicBool::new(false),
        settled: identity.options.session.is_some(),
        first_sent: None,
        waiting: None,
        meter: StreamMeter::new(),
        log_entry,
    };
    let mut control = buffer.into_client();
    let meter = relay.meter.clone();
    if let Some(connection) = relay.log_entry.connection() {
        meter.attach(connection);
    }
    let code = tokio::select! {
        code = relay.run() => code,
        () = ended(&mut control) => "ok",
        () = meter.idle(context.config().udp_idle_timeout) => "idle",
        refusal = tunnel::ended(context, &end) => refusal.code(),
    };
    relay.note_silence();
    relay.log_entry.code = code;
}

async fn open(
    context: &Context,
    buffer: &ClientBuffer,
    client: SocketAddr,
    port: u16,
) -> io::Result<(UdpRelaySocket, SocketAddr)> {
    let socket =
        UdpRelaySocket::open(buffer.local_address()?, client.ip(), port, context.telemetry.metrics.clone()).await?;
    let address = socket.address()?;
    Ok((socket, address))
}

async fn refuse(
    context: &Context,
    mut log_entry: AccessLogEntry,
    buffer: ClientBuffer,
    refusal: &Refusal,
    attempts: u32,
) {
    log_entry.refused(refusal, attempts);
    buffer.send_and_close(&wire::reply(refusal.socks5_reply()), &context.access.reject_budget).await;
}

/// Ends when the client ends its stream; nothing that it says there means anything.
async fn ended(control: &mut (impl AsyncRead + Unpin)) {
    let mut ignored = [0; 64];
    while matches!(control.read(&mut ignored).await, Ok(1..)) {}
}

/// Why a node no longer carries the association.
enum End {
    /// It failed.
    Failed(io::Error),
    /// It has not answered anything.
    Silent,
}

struct AssociationRelay<'a> {
    context: &'a Arc<Context>,
    identity: &'a Identity,
    client: SocketAddr,
    socket: UdpRelaySocket,
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

impl AssociationRelay<'_> {
    /// Carries datagrams until no node is left; returns the code that says why.
    async fn run(&mut self) -> &'static str {
        loop {
            let Some(mut association) = self.association.take() else {
                // The node had proved itself and is gone: another one when there is something to send.
                if self.waiting.is_none() {
                    self.waiting = Some(self.socket.receive().await);
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
        let context = Sides {
            socket: &self.socket,
            meter: &self.meter,
            metrics: &self.context.telemetry.metrics,
            answered: &self.answered,
            patience: self.context.config().udp_patience,
            identity: self.identity,
            access: &self.context.access,
        };
        tokio::select! {
            end = context.up(&**datagram, &mut self.waiting, &mut self.first_sent, self.settled) => end,
            error = context.down(&**datagram, report) => End::Failed(error),
        }
    }
}

/// What the two directions share.
#[derive(Clone, Copy)]
struct Sides<'a> {
    socket: &'a UdpRelaySocket,
    meter: &'a StreamMeter,
    metrics: &'a ListenerMetrics,
    answered: &'a AtomicBool,
    patience: Duration,
    identity: &'a Identity,
    access: &'a Access,
}

impl Sides<'_> {
    /// From the client to the node, until that fails or has been silent for too long. A datagram that the node did not
    /// take stays in `waiting`.
    async fn up(
        self,
        node: &dyn Datagram,
        waiting: &mut Option<Packet>,
        first_sent: &mut Option<Instant>,
        settled: bool,
    ) -> End {
        loop {
            let packet = match waiting {
                Some(packet) => packet,
                None => waiting.insert(self.socket.receive().await),
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
    async fn down(self, node: &dyn Datagram, report: &mut AttemptReport) -> io::Error {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            match node.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    self.answered.store(true, Relaxed);
                    report.succeeded();
                    self.meter.add_down(length);
                    self.metrics.datagram("down");
                    self.socket.send(&from, buffer.get(..length).unwrap_or_default()).await;
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
