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
    super::Inbox,
    door::{Door, MAX_DATAGRAM, Packet},
    wire,
};
use crate::{
    Metrics, Refusal,
    auth::Identity,
    course::{Course, Fail, Flow, Verdict},
    gateway::Shared,
    journal::{Inbound, Journal},
    limits::Pass,
    meter::Meter,
    metrics::Raised,
};

/// Serves one association to its end.
pub(super) async fn serve(shared: &Arc<Shared>, mut inbox: Inbox, client: SocketAddr, identity: &Identity, port: u16) {
    let mut journal = Journal::new(shared, Inbound::Udp, client);
    journal.identity(identity);
    let mut course = Course::for_datagrams(shared, identity, client.ip());
    let Ok(_place) = shared.associations.clone().try_acquire_owned() else {
        return refuse(shared, journal, inbox, &Refusal::AssociationLimit, 0).await;
    };
    let (door, address) = match open(shared, &inbox, client, port).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, "no socket for an association");
            return refuse(shared, journal, inbox, &Refusal::AssociationLimit, 0).await;
        }
    };
    let flow = tokio::select! {
        biased;
        flow = course.next_flow() => flow,
        // The journal says that the client is gone.
        () = inbox.hung_up() => return,
    };
    let flow = match flow {
        Ok(flow) => flow,
        Err(refusal) => return refuse(shared, journal, inbox, &refusal, course.attempts()).await,
    };
    journal.served(flow.lease.id(), course.attempts());
    if inbox.write(&wire::associated(address)).await.is_err() {
        return;
    }
    let _open = Raised::new(&shared.metrics.associations);
    let mut association = Association {
        shared,
        identity,
        client,
        door,
        course,
        node: flow.lease.id(),
        flow: Some(flow),
        answered: AtomicBool::new(false),
        settled: identity.options.session.is_some(),
        first_sent: None,
        waiting: None,
        meter: Meter::new(),
        journal,
    };
    let mut control = inbox.into_client();
    let meter = association.meter.clone();
    meter.count_in(&shared.metrics);
    let code = tokio::select! {
        code = association.run() => code,
        () = ended(&mut control) => "ok",
        () = meter.idle(shared.config.udp_idle_timeout) => "idle",
        () = shared.kill.cancelled() => Refusal::ShuttingDown.code(),
    };
    association.note_silence();
    association.journal.code = code;
    association.journal.counts = meter.counts();
}

async fn open(shared: &Shared, inbox: &Inbox, client: SocketAddr, port: u16) -> io::Result<(Door, SocketAddr)> {
    let door = Door::open(inbox.local_address()?, client.ip(), port, shared.metrics.clone()).await?;
    let address = door.address()?;
    Ok((door, address))
}

async fn refuse(shared: &Shared, mut journal: Journal, inbox: Inbox, refusal: &Refusal, attempts: u32) {
    journal.refused(refusal, attempts);
    inbox.farewell(&wire::reply(refusal.socks5_reply()), &shared.courtesy).await;
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

struct Association<'a> {
    shared: &'a Arc<Shared>,
    identity: &'a Identity,
    client: SocketAddr,
    door: Door,
    course: Course,
    flow: Option<Flow>,
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
    meter: Arc<Meter>,
    journal: Journal,
}

impl Association<'_> {
    /// Carries datagrams until no node is left; returns the code that says why.
    async fn run(&mut self) -> &'static str {
        loop {
            let Some(mut flow) = self.flow.take() else {
                // The node had proved itself and is gone: another one when there is something to send.
                if self.waiting.is_none() {
                    self.waiting = Some(self.door.receive().await);
                }
                self.course = Course::for_datagrams(self.shared, self.identity, self.client.ip());
                match self.course.next_flow().await {
                    Ok(flow) => self.begin(flow),
                    Err(refusal) => return refusal.code(),
                }
                continue;
            };
            let end = self.carry(&mut flow).await;
            self.course.renew();
            match end {
                End::Failed(error) => {
                    let fail = Fail::of_stream(Stage::Relay, &error);
                    tracing::debug!(node = %flow.lease.id(), code = fail.code, answered = self.answered.load(Relaxed), "association lost");
                    if self.answered.load(Relaxed) {
                        continue;
                    }
                    self.course.lost(flow, fail);
                    match self.course.next_flow().await {
                        Ok(flow) => self.begin(flow),
                        Err(refusal) => return refusal.code(),
                    }
                }
                // Nobody is blamed: the target may be silent, and a node that carries no datagrams may carry streams.
                End::Silent => match self.course.next_flow().await {
                    Ok(other) => {
                        self.note_silence();
                        self.begin(other);
                    }
                    Err(_) => {
                        self.settled = true;
                        self.flow = Some(flow);
                    }
                },
            }
        }
    }

    fn begin(&mut self, flow: Flow) {
        self.journal.moved(flow.lease.id(), self.course.attempts());
        self.node = flow.lease.id();
        self.flow = Some(flow);
        (self.answered, self.first_sent) = (AtomicBool::new(false), None);
    }

    /// Remembers what the node has carried, for other associations.
    fn note_silence(&self) {
        let patience = self.shared.config.udp_patience;
        if self.answered.load(Relaxed) {
            self.shared.mutes.forget(self.node);
        } else if self.first_sent.is_some_and(|first| first.elapsed() >= patience) {
            self.shared.mutes.note(self.node, self.shared.clock.now());
        }
    }

    /// Both directions over one node.
    async fn carry(&mut self, flow: &mut Flow) -> End {
        let Flow { datagram, verdict, .. } = flow;
        let shared = Sides {
            door: &self.door,
            meter: &self.meter,
            metrics: &self.shared.metrics,
            answered: &self.answered,
            patience: self.shared.config.udp_patience,
            pass: &self.identity.pass,
        };
        tokio::select! {
            end = shared.up(&**datagram, &mut self.waiting, &mut self.first_sent, self.settled) => end,
            error = shared.down(&**datagram, verdict) => End::Failed(error),
        }
    }
}

/// What the two directions share.
#[derive(Clone, Copy)]
struct Sides<'a> {
    door: &'a Door,
    meter: &'a Meter,
    metrics: &'a Metrics,
    answered: &'a AtomicBool,
    patience: Duration,
    pass: &'a Pass,
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
                None => waiting.insert(self.door.receive().await),
            };
            let silent = first_sent.is_some_and(|first| first.elapsed() >= self.patience);
            if silent && !settled && !self.answered.load(Relaxed) {
                return End::Silent;
            }
            match node.send_to(&packet.payload, &packet.target).await {
                Ok(()) => {
                    self.meter.sent(packet.payload.len());
                    self.metrics.datagram("up");
                    first_sent.get_or_insert_with(Instant::now);
                }
                Err(error) if of_one_datagram(&error) => self.metrics.dropped("unsendable"),
                Err(error) => return End::Failed(error),
            }
            // Meanwhile the client's datagrams wait in the socket, as many as fit.
            let bytes = waiting.take().map_or(0, |packet| packet.payload.len());
            self.pass.pace(bytes).await;
        }
    }

    /// From the node to the client, until the node fails.
    async fn down(self, node: &dyn Datagram, verdict: &mut Verdict) -> io::Error {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            match node.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    self.answered.store(true, Relaxed);
                    verdict.good();
                    self.meter.received(length);
                    self.metrics.datagram("down");
                    self.door.send(&from, buffer.get(..length).unwrap_or_default()).await;
                    self.pass.pace(length).await;
                }
                Err(error) => return error,
            }
        }
    }
}

/// The datagram cannot be sent; the node is not to blame and goes on.
fn of_one_datagram(error: &io::Error) -> bool {
    /// EMSGSIZE (Linux).
    const TOO_LARGE: i32 = 90;
    error.kind() == io::ErrorKind::InvalidInput || error.raw_os_error() == Some(TOO_LARGE)
}
