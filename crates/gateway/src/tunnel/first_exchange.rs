//! The first exchange of a tunnel: from the answer to the client until the first bytes of the target, over as many nodes as
//! needed.
//!
//! ```text
//!   Listening ──the node speaks first──────────────────────────────────────► relay
//!       │  ▲──the node closes; nothing was said: another one is dialled
//!       ├──the client says something that cannot be repeated───────────────► relay, with this node only
//!       └──a whole flight that is safe──► Asking ──an answer has begun─────► relay, with the node that answered
//!                                           └──closed, silent, nonsense: the flight goes to another node
//! ```

use std::time::Duration;

use bytes::BytesMut;
use hezar_core::Stage;
use hezar_engine::{BoxStream, Cause, Prefixed, Stream};
use tokio::{
    io::AsyncRead,
    time::{Instant, sleep_until, timeout},
};

use super::replayed_flight::ReplayedFlight;
use crate::{
    AttemptError, GatewayConfig, Refusal,
    failover::{AttemptReport, Connected, Failover, NodeLease, first_answer},
    relay::read_some,
    replay::{Expectation, FlightKind, MAX_REPLAY, ReplayBuffer},
};

/// How long the beginning of a flight is held back for its rest; then it goes out as it is, and only once.
const SETTLE: Duration = Duration::from_secs(1);

/// A tunnel whose target has begun to answer, or of which nothing more is held.
pub(super) struct Established<C> {
    pub client: Prefixed<C>,
    pub node: Prefixed<BoxStream>,
    pub lease: NodeLease,
    pub report: AttemptReport,
    /// The bytes of the client that have gone to the node already.
    pub sent: u64,
}

/// Why a tunnel ended before that.
pub(super) enum NotEstablished {
    /// Nobody said anything; the code says how it ended.
    Silent(&'static str),
    /// The client is gone in the middle of its flight.
    Gone,
    /// No node answers.
    Refused(Refusal),
}

/// The client and what it has said so far.
struct ClientSide<C> {
    client: C,
    heard: BytesMut,
    ended: bool,
    /// When it began to speak.
    since: Option<Instant>,
}

/// What the client's first bytes turned out to be.
#[derive(Clone, Copy)]
enum First {
    /// They are sent once.
    Once,
    /// So many of them are a flight that may be repeated; `early` data may follow it.
    Flight { length: usize, expect: Expectation, early: bool },
}

/// What happens while both are listened to.
enum NextEvent {
    Node(std::io::Result<usize>),
    Connected(Result<Connected, Refusal>),
    Client(std::io::Result<usize>),
    Time,
}

pub(super) async fn first_exchange<C>(
    config: &GatewayConfig,
    client: C,
    failover: &mut Failover,
    connected: Connected,
) -> Result<Established<C>, NotEstablished>
where
    C: Stream,
{
    let mut client_side = ClientSide { client, heard: BytesMut::new(), ended: false, since: None };
    let mut spoken = BytesMut::new();
    let mut connected = Some(connected);
    let first = listen(config, &mut client_side, failover, &mut connected, &mut spoken).await?;
    match (first, connected) {
        (First::Flight { length, expect, early }, connected) => {
            failover.renew();
            let limit = config.idle_timeout;
            // In a box: most tunnels that are idle before the first byte never come here.
            let asking = Box::pin(send_flight(client_side, failover, connected, (length, expect, early)));
            timeout(limit, asking).await.unwrap_or(Err(NotEstablished::Silent("idle")))
        }
        (First::Once, Some(Connected { stream, lease, report, .. })) => Ok(Established {
            client: Prefixed::new(client_side.heard.freeze(), client_side.client),
            node: Prefixed::new(spoken.freeze(), stream),
            lease,
            report,
            sent: 0,
        }),
        (First::Once, None) => Err(NotEstablished::Refused(failover.refusal())),
    }
}

/// Listens to both sides until it is clear how to go on. Nothing is written to the node meanwhile, so that one that
/// closes can be replaced by another whatever the protocol.
async fn listen<C>(
    config: &GatewayConfig,
    client_side: &mut ClientSide<C>,
    failover: &mut Failover,
    connected: &mut Option<Connected>,
    spoken: &mut BytesMut,
) -> Result<First, NotEstablished>
where
    C: AsyncRead + Unpin,
{
    let idle = Instant::now() + config.idle_timeout;
    let mut first = None;
    loop {
        match (first, &connected) {
            (Some(first @ First::Flight { .. }), _) | (Some(first), Some(_)) => return Ok(first),
            _ => {}
        }
        let time = client_side.since.map_or(idle, |since| since + SETTLE);
        let step = tokio::select! {
            biased;
            read = read_from_node(connected, spoken) => NextEvent::Node(read),
            connected = failover.connect_next(), if connected.is_none() => NextEvent::Connected(connected),
            read = read_some(&mut client_side.client, &mut client_side.heard), if first.is_none() => NextEvent::Client(read),
            () = sleep_until(time), if first.is_none() => NextEvent::Time,
        };
        match step {
            NextEvent::Node(Ok(1..)) => first = Some(First::Once),
            NextEvent::Node(closed) => {
                let fail = match closed {
                    Ok(_) => AttemptError::new(Stage::Exchange, &Cause::Closed, false),
                    Err(error) => AttemptError::from_stream(Stage::Exchange, &error),
                };
                if let Some(Connected { report, .. }) = connected.take() {
                    failover.failed(report, fail);
                }
            }
            NextEvent::Connected(next) => *connected = Some(next.map_err(NotEstablished::Refused)?),
            NextEvent::Client(Err(_)) if client_side.heard.is_empty() => return Err(NotEstablished::Silent("ok")),
            NextEvent::Client(Err(_)) => return Err(NotEstablished::Gone),
            NextEvent::Client(Ok(0)) => {
                client_side.ended = true;
                first = Some(client_side.send_once(config));
            }
            NextEvent::Client(Ok(_)) => first = client_side.classify(config),
            NextEvent::Time if client_side.heard.is_empty() => return Err(NotEstablished::Silent("idle")),
            NextEvent::Time => first = Some(client_side.send_once(config)),
        }
    }
}

/// What the node says, if there is one.
async fn read_from_node(connected: &mut Option<Connected>, spoken: &mut BytesMut) -> std::io::Result<usize> {
    match connected {
        Some(connected) => read_some(&mut connected.stream, spoken).await,
        None => std::future::pending().await,
    }
}

impl<C> ClientSide<C> {
    /// What has been heard, as far as that can be said.
    fn classify(&mut self, config: &GatewayConfig) -> Option<First> {
        self.since.get_or_insert_with(Instant::now);
        match FlightKind::classify(&self.heard) {
            FlightKind::Partial => None,
            FlightKind::Hello { length, early } => Some(First::Flight { length, expect: Expectation::Tls, early }),
            FlightKind::Request { length } => {
                let expect = Expectation::Http { body: !self.heard.starts_with(b"HEAD ") };
                Some(First::Flight { length, expect, early: true })
            }
            FlightKind::Other => Some(self.send_once(config)),
        }
    }

    /// Bytes that are sent once, unless the listener allows to repeat them.
    fn send_once(&self, config: &GatewayConfig) -> First {
        let length = self.heard.len();
        if config.repeat_unsafe && (1..=MAX_REPLAY).contains(&length) {
            First::Flight { length, expect: Expectation::Any, early: false }
        } else {
            First::Once
        }
    }
}

/// Sends the flight to one node after the other until one answers; the client is listened to meanwhile.
async fn send_flight<C>(
    mut client_side: ClientSide<C>,
    failover: &mut Failover,
    connected: Option<Connected>,
    (length, expect, early): (usize, Expectation, bool),
) -> Result<Established<C>, NotEstablished>
where
    C: Stream,
{
    let mut extra = client_side.heard.split_off(length);
    let mut held = ReplayBuffer::new(client_side.heard, client_side.ended && expect == Expectation::Any, expect);
    let mut exchange = ReplayedFlight::new(&held);
    let won = tokio::select! {
        biased;
        won = first_answer(failover, &mut exchange, connected) => won.map_err(NotEstablished::Refused)?,
        () = watch_client(&mut client_side.client, client_side.ended, &mut held, &mut extra, early) => return Err(NotEstablished::Gone),
    };
    Ok(Established {
        client: Prefixed::new(extra.freeze(), client_side.client),
        node: won.answer.node,
        lease: won.lease,
        report: won.report,
        sent: held.len() as u64,
    })
}

/// Takes in what the client says behind its flight; ends when it is gone.
async fn watch_client<C>(client: &mut C, mut ended: bool, held: &mut ReplayBuffer, extra: &mut BytesMut, early: bool)
where
    C: AsyncRead + Unpin,
{
    // Beyond that the client has to wait, as with any slow reader.
    while !ended && extra.len() < MAX_REPLAY {
        let mut more = BytesMut::new();
        match read_some(client, &mut more).await {
            Err(_) => return,
            Ok(0) if held.expect() == Expectation::Tls => return,
            Ok(0) => {
                ended = true;
                if held.expect() == Expectation::Any {
                    held.end();
                }
            }
            Ok(_) if held.expect() == Expectation::Any && extra.is_empty() && held.grow(&more) => {}
            Ok(_) => {
                extra.extend_from_slice(&more);
                // Early data and the next request wait for the answer; whatever else this is may be needed for it.
                if !early {
                    held.release();
                }
            }
        }
    }
    std::future::pending().await
}
