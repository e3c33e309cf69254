//! Sends one request over one node after another until one answers.
//!
//! It serves HTTP requests and the first flights of tunnels alike; what differs between them is the [`Exchange`].

use std::{future::Future, time::Duration};

use hezar_core::Stage;
use hezar_engine::BoxStream;
use tokio::time::{Instant, sleep_until};

use super::{AttemptReport, Connected, Event, Failover, FormChoice, NodeLease, Staggered, Stall, Wait};
use crate::{AttemptError, Refusal};

/// The most exits that a site may refuse before its answer is passed on.
const MOST_REFUSED: u32 = 3;

/// A request that is sent over one node, and perhaps over others.
pub(crate) trait Exchange: 'static {
    /// What a node brings back.
    type Answer: Send + 'static;
    /// What comes back when not one byte was written.
    type Unsent: Send + 'static;

    /// Which kind of answer is waited for.
    fn wait(&self) -> Wait;

    /// Whether the request may be sent again although a node may have passed it on.
    fn repeatable(&self) -> bool;

    /// Whether nodes that have been asked may take longer than the request's deadline.
    fn outlives_deadline(&self) -> bool;

    /// Whether the answer shows that the node works.
    fn proves(answer: &Self::Answer) -> bool;

    /// Whether the answer says that the site refuses the exit, so that another one is to be asked when that is safe. Called once for
    /// each answer.
    fn is_refused_by_site(&mut self, _answer: &Self::Answer, _lease: &NodeLease) -> bool {
        false
    }

    /// Sends the request over one node; `form` says how a plain HTTP request travels there.
    fn send(
        &mut self,
        stream: BoxStream,
        form: FormChoice,
    ) -> impl Future<Output = Result<Self::Answer, ExchangeError<Self::Unsent>>> + Send + 'static;

    /// Takes back a request of which nothing was sent.
    fn put_back(&mut self, unsent: Self::Unsent);
}

/// An attempt that failed before an answer had arrived.
pub(crate) struct ExchangeError<U> {
    pub(crate) error: AttemptError,
    /// What was to be sent, when not one byte of it was written.
    pub(crate) unsent: Option<U>,
    /// Why the request ends here, when the client itself is to blame; nobody else is then.
    pub(crate) client: Option<Refusal>,
}

impl<U> From<AttemptError> for ExchangeError<U> {
    fn from(error: AttemptError) -> Self {
        Self { error, unsent: None, client: None }
    }
}

/// The first answer, and the node that gave it.
pub(crate) struct Winner<A> {
    pub(crate) answer: A,
    pub(crate) lease: NodeLease,
    pub(crate) report: AttemptReport,
}

/// An attempt that has ended.
struct Ended<E: Exchange> {
    result: Result<E::Answer, ExchangeError<E::Unsent>>,
    lease: NodeLease,
    report: AttemptReport,
    took: Duration,
}

/// What happens next.
enum NextEvent<E: Exchange> {
    Ended(Box<Ended<E>>),
    Connected(Result<Connected, Refusal>),
    Silent(Stall),
    Deadline,
}

/// The nodes that have been asked and have not answered yet.
struct OpenExchange<'a, E: Exchange> {
    failover: &'a mut Failover,
    exchange: &'a mut E,
    attempts: Staggered<Box<Ended<E>>>,
    /// Whether another node is to be connected and asked now.
    wants_node: bool,
    /// Whether no other node is left, or no time.
    exhausted: bool,
    /// Whether the deadline has passed.
    overtime: bool,
    /// An answer by which the site refused an exit; it is the one to pass on when no other exit brings a better one.
    second_best: Option<Winner<E::Answer>>,
    /// How many exits were refused.
    refused: u32,
}

/// Sends the request over one node after another until one answers, beginning with `first` when one is connected.
///
/// A repeatable request is also sent over another node when one has been silent for long. The silent one may still win,
/// since perhaps only the target is slow.
///
/// # Errors
/// [`Refusal`] when no node answers, or the client is to blame.
pub(crate) async fn first_answer<E: Exchange>(
    failover: &mut Failover,
    exchange: &mut E,
    first: Option<Connected>,
) -> Result<Winner<E::Answer>, Refusal> {
    let (attempts, wants_node) = (Staggered::new(), first.is_none());
    let (exhausted, overtime, second_best, refused) = Default::default();
    let mut asked =
        OpenExchange { failover, exchange, attempts, wants_node, exhausted, overtime, second_best, refused };
    if let Some(connected) = first {
        asked.ask(connected);
    }
    loop {
        match asked.step().await {
            Ok(Some(winner)) => return Ok(winner),
            Ok(None) => {}
            Err(refusal) => return asked.second_best.take().ok_or(refusal),
        }
    }
}

impl<E: Exchange> OpenExchange<'_, E> {
    async fn step(&mut self) -> Result<Option<Winner<E::Answer>>, Refusal> {
        let repeatable = self.exchange.repeatable();
        let deadline = self.failover.deadline();
        let step = tokio::select! {
            biased;
            event = self.attempts.next_event(repeatable && !self.exhausted) => match event {
                Event::Finished(ended) => NextEvent::Ended(ended),
                Event::Silent(stall) => NextEvent::Silent(stall),
            },
            connected = self.failover.connect_next(), if self.wants_node => NextEvent::Connected(connected),
            () = sleep_until(deadline), if !self.overtime && repeatable => NextEvent::Deadline,
        };
        match step {
            NextEvent::Connected(Ok(connected)) => self.ask(connected),
            NextEvent::Connected(Err(refusal)) if self.attempts.is_empty() => return Err(refusal),
            NextEvent::Connected(Err(_)) => (self.wants_node, self.exhausted) = (false, true),
            NextEvent::Silent(stall) => {
                let has_fresh = self.wants_node || self.attempts.has_fresh_attempt();
                self.wants_node |= self.failover.wants_another(stall, Stage::Exchange, has_fresh);
            }
            NextEvent::Deadline if self.exchange.outlives_deadline() && !self.attempts.is_empty() => {
                (self.wants_node, self.exhausted, self.overtime) = (false, true, true);
            }
            NextEvent::Deadline => return Err(self.failover.refusal()),
            NextEvent::Ended(ended) => return self.finish(*ended),
        }
        Ok(None)
    }

    /// Sends the request over a connected node.
    fn ask(&mut self, connected: Connected) {
        let Connected { stream, form, lease, report } = connected;
        let (node, started) = (lease.id(), Instant::now());
        let delays = self.failover.delays(self.exchange.wait(), &lease);
        let sending = self.exchange.send(stream, form);
        self.wants_node = false;
        self.attempts.start(node, delays, async move {
            let result = sending.await;
            Box::new(Ended { result, lease, report, took: started.elapsed() })
        });
    }

    /// Takes in how an attempt ended: its answer wins, or the request goes to another node when it may.
    fn finish(&mut self, ended: Ended<E>) -> Result<Option<Winner<E::Answer>>, Refusal> {
        let Ended { result, lease, mut report, took } = ended;
        let failed = match result {
            Ok(answer) => {
                if E::proves(&answer) {
                    self.failover.record(self.exchange.wait(), &lease, took);
                    report.succeeded();
                }
                let is_refused = self.exchange.is_refused_by_site(&answer, &lease);
                let winner = Winner { answer, lease, report };
                return if is_refused { self.ask_another_exit(winner) } else { Ok(Some(winner)) };
            }
            Err(failed) => failed,
        };
        if let Some(refusal) = failed.client {
            return Err(refusal);
        }
        let may_repeat = self.exchange.repeatable() || failed.unsent.is_some();
        if let Some(unsent) = failed.unsent {
            self.exchange.put_back(unsent);
        }
        self.failover.failed(report, failed.error);
        if self.attempts.is_empty() && (self.exhausted || !may_repeat) {
            return Err(self.failover.refusal());
        }
        self.wants_node |= may_repeat && !self.exhausted && !self.attempts.has_fresh_attempt();
        Ok(None)
    }

    /// Keeps the answer of a site that refused an exit and asks another one, or passes it on when nothing more may be tried.
    fn ask_another_exit(&mut self, winner: Winner<E::Answer>) -> Result<Option<Winner<E::Answer>>, Refusal> {
        self.refused += 1;
        let may_ask = self.exchange.repeatable() && !self.exhausted && self.refused <= MOST_REFUSED;
        if !may_ask {
            return Ok(Some(winner));
        }
        self.second_best = Some(winner);
        self.wants_node |= !self.attempts.has_fresh_attempt();
        Ok(None)
    }
}
