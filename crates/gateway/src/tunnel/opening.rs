//! The opening of a tunnel: from the answer to the client until the first bytes of the target, over as many nodes as it takes.
//!
//! ```text
//!   Listening ──the node speaks first──────────────────────────────────────► relay
//!       │  ▲──the node closes; nothing was said: another one is dialled
//!       ├──the client says something that cannot be repeated───────────────► relay, with this node only
//!       └──a whole flight that is safe──► Asking ──an answer has begun─────► relay, with the node that answered
//!                                           └──closed, silent, nonsense: the flight goes to another node
//! ```

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use hezar_core::Stage;
use hezar_engine::{BoxStream, Cause, Prefixed, Stream};
use tokio::{
    io::AsyncRead,
    time::{Instant, sleep_until, timeout},
};

use super::ask::Ask;
use crate::{
    Refusal,
    course::{Course, Fail, NodeLease, Route, Verdict, race},
    flight::{Expect, Held, Kind, MOST},
    gateway::Shared,
    relay::read_some,
};

/// How long the beginning of a flight is held back for its rest; then it goes out as it is, and only once.
const SETTLE: Duration = Duration::from_secs(1);

/// A tunnel whose target has begun to answer, or of which nothing more is held.
pub(super) struct Opened<C> {
    pub client: Prefixed<C>,
    pub node: Prefixed<BoxStream>,
    pub lease: NodeLease,
    pub verdict: Verdict,
    /// The bytes of the client that have gone to the node already.
    pub sent: u64,
}

/// Why a tunnel ended before that.
pub(super) enum Unopened {
    /// Nobody said anything; the code says how it ended.
    Silent(&'static str),
    /// The client is gone in the middle of its flight.
    Gone,
    /// No node answers.
    Refused(Refusal),
}

/// The client and what it has said so far.
struct Party<C> {
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
    Flight { length: usize, expect: Expect, early: bool },
}

/// What happens while both are listened to.
enum Step {
    Node(std::io::Result<usize>),
    Connected(Result<Route, Refusal>),
    Client(std::io::Result<usize>),
    Time,
}

pub(super) async fn open<C>(
    shared: &Arc<Shared>,
    client: C,
    course: &mut Course,
    route: Route,
) -> Result<Opened<C>, Unopened>
where
    C: Stream,
{
    let mut party = Party { client, heard: BytesMut::new(), ended: false, since: None };
    let mut spoken = BytesMut::new();
    let mut route = Some(route);
    let first = listen(shared, &mut party, course, &mut route, &mut spoken).await?;
    match (first, route) {
        (First::Flight { length, expect, early }, route) => {
            course.renew();
            let limit = shared.config.idle_timeout;
            let asking = ask(shared, party, course, route, (length, expect, early));
            timeout(limit, asking).await.unwrap_or(Err(Unopened::Silent("idle")))
        }
        (First::Once, Some(Route { stream, lease, verdict, .. })) => Ok(Opened {
            client: Prefixed::new(party.heard.freeze(), party.client),
            node: Prefixed::new(spoken.freeze(), stream),
            lease,
            verdict,
            sent: 0,
        }),
        (First::Once, None) => Err(Unopened::Refused(course.refusal())),
    }
}

/// Listens to both sides until it is clear how to go on. Nothing is written to the node meanwhile, so that one that
/// closes can be replaced by another whatever the protocol.
async fn listen<C>(
    shared: &Shared,
    party: &mut Party<C>,
    course: &mut Course,
    route: &mut Option<Route>,
    spoken: &mut BytesMut,
) -> Result<First, Unopened>
where
    C: AsyncRead + Unpin,
{
    let idle = Instant::now() + shared.config.idle_timeout;
    let mut first = None;
    loop {
        match (first, &route) {
            (Some(first @ First::Flight { .. }), _) | (Some(first), Some(_)) => return Ok(first),
            _ => {}
        }
        let time = party.since.map_or(idle, |since| since + SETTLE);
        let step = tokio::select! {
            biased;
            read = hear(route, spoken) => Step::Node(read),
            route = course.next(), if route.is_none() => Step::Connected(route),
            read = read_some(&mut party.client, &mut party.heard), if first.is_none() => Step::Client(read),
            () = sleep_until(time), if first.is_none() => Step::Time,
        };
        match step {
            Step::Node(Ok(1..)) => first = Some(First::Once),
            Step::Node(closed) => {
                let fail = match closed {
                    Ok(_) => Fail::new(Stage::Exchange, &Cause::Closed, false),
                    Err(error) => Fail::of_stream(Stage::Exchange, &error),
                };
                if let Some(Route { verdict, .. }) = route.take() {
                    course.failed(verdict, fail);
                }
            }
            Step::Connected(next) => *route = Some(next.map_err(Unopened::Refused)?),
            Step::Client(Err(_)) if party.heard.is_empty() => return Err(Unopened::Silent("ok")),
            Step::Client(Err(_)) => return Err(Unopened::Gone),
            Step::Client(Ok(0)) => {
                party.ended = true;
                first = Some(party.once(shared));
            }
            Step::Client(Ok(_)) => first = party.first(shared),
            Step::Time if party.heard.is_empty() => return Err(Unopened::Silent("idle")),
            Step::Time => first = Some(party.once(shared)),
        }
    }
}

/// What the node says, if there is one.
async fn hear(route: &mut Option<Route>, spoken: &mut BytesMut) -> std::io::Result<usize> {
    match route {
        Some(route) => read_some(&mut route.stream, spoken).await,
        None => std::future::pending().await,
    }
}

impl<C> Party<C> {
    /// What has been heard, as far as that can be said.
    fn first(&mut self, shared: &Shared) -> Option<First> {
        self.since.get_or_insert_with(Instant::now);
        match Kind::of(&self.heard) {
            Kind::Partial => None,
            Kind::Hello { length, early } => Some(First::Flight { length, expect: Expect::Tls, early }),
            Kind::Request { length } => {
                let expect = Expect::Http { body: !self.heard.starts_with(b"HEAD ") };
                Some(First::Flight { length, expect, early: true })
            }
            Kind::Other => Some(self.once(shared)),
        }
    }

    /// Bytes that are sent once, unless the listener allows to repeat them.
    fn once(&self, shared: &Shared) -> First {
        let length = self.heard.len();
        if shared.config.repeat_unsafe && (1..=MOST).contains(&length) {
            First::Flight { length, expect: Expect::Any, early: false }
        } else {
            First::Once
        }
    }
}

/// Sends the flight to one node after the other until one answers; the client is listened to meanwhile.
async fn ask<C>(
    shared: &Arc<Shared>,
    mut party: Party<C>,
    course: &mut Course,
    route: Option<Route>,
    (length, expect, early): (usize, Expect, bool),
) -> Result<Opened<C>, Unopened>
where
    C: Stream,
{
    let mut extra = party.heard.split_off(length);
    let mut held = Held::new(party.heard, party.ended && expect == Expect::Any, expect);
    let mut errand = Ask::new(&held);
    let won = tokio::select! {
        biased;
        won = race(shared, course, &mut errand, route) => won.map_err(Unopened::Refused)?,
        () = overhear(&mut party.client, party.ended, &mut held, &mut extra, early) => return Err(Unopened::Gone),
    };
    Ok(Opened {
        client: Prefixed::new(extra.freeze(), party.client),
        node: won.answer.node,
        lease: won.lease,
        verdict: won.verdict,
        sent: held.len() as u64,
    })
}

/// Takes in what the client says behind its flight; ends when it is gone.
async fn overhear<C>(client: &mut C, mut ended: bool, held: &mut Held, extra: &mut BytesMut, early: bool)
where
    C: AsyncRead + Unpin,
{
    // Beyond that the client has to wait, as with any slow reader.
    while !ended && extra.len() < MOST {
        let mut more = BytesMut::new();
        match read_some(client, &mut more).await {
            Err(_) => return,
            Ok(0) if held.expect() == Expect::Tls => return,
            Ok(0) => {
                ended = true;
                if held.expect() == Expect::Any {
                    held.end();
                }
            }
            Ok(_) if held.expect() == Expect::Any && extra.is_empty() && held.grow(&more) => {}
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
