//! One request, one answer: from the first node, or from another one when that fails or stays silent for too long.
//!
//! The same for an HTTP exchange and for the first flight of a tunnel; what differs is the [`Exchange`].

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hezar_core::Stage;
use hezar_engine::BoxStream;
use tokio::time::{Instant, sleep_until};

use super::{AttemptReport, Connected, Failover, FormChoice, NodeLease, Stall, StallTimer, Wait};
use crate::{AttemptError, Refusal, context::Context};

/// What is to be done over one node, and perhaps over another one.
pub(crate) trait Exchange {
    /// What a node brings back.
    type Answer: Send + 'static;
    /// What comes back when not one byte was written.
    type Unsent: Send + 'static;

    /// Which wait it is.
    fn wait(&self) -> Wait;

    /// Whether it may be done again although a node may have passed it on.
    fn repeatable(&self) -> bool;

    /// Whether the nodes that were asked may take longer than the request's deadline.
    fn patient(&self) -> bool;

    /// Whether the answer shows that the node works.
    fn proves(answer: &Self::Answer) -> bool;

    /// Does it over one node; `way` is how a plain HTTP request travels there.
    fn send(
        &mut self,
        stream: BoxStream,
        way: FormChoice,
    ) -> impl Future<Output = Result<Self::Answer, ExchangeError<Self::Unsent>>> + Send + 'static;

    /// It was not sent at all, and is whole again.
    fn put_back(&mut self, unsent: Self::Unsent);
}

/// A try that failed before an answer had arrived.
pub(crate) struct ExchangeError<U> {
    pub fail: AttemptError,
    /// What was to be sent, when not one byte of it was written.
    pub unsent: Option<U>,
    /// Why the request ends here, when the client itself is to blame; nobody else is then.
    pub client: Option<Refusal>,
}

impl<U> From<AttemptError> for ExchangeError<U> {
    fn from(fail: AttemptError) -> Self {
        Self { fail, unsent: None, client: None }
    }
}

/// The answer that counts, and the node that gave it.
pub(crate) struct Winner<A> {
    pub answer: A,
    pub lease: NodeLease,
    pub report: AttemptReport,
}

/// A node's try is over.
struct Ended<E: Exchange> {
    result: Result<E::Answer, ExchangeError<E::Unsent>>,
    lease: NodeLease,
    report: AttemptReport,
    took: Duration,
}

/// What happens next in a race.
enum Step<E: Exchange> {
    Ended(Box<Ended<E>>),
    Connected(Result<Connected, Refusal>),
    Alarm,
    Deadline,
}

type Try<E> = Pin<Box<dyn Future<Output = Box<Ended<E>>> + Send>>;

/// The nodes that were asked and have not answered yet.
struct Race<'a, E: Exchange> {
    context: &'a Arc<Context>,
    failover: &'a mut Failover,
    exchange: &'a mut E,
    running: FuturesUnordered<Try<E>>,
    stall_timer: StallTimer,
    /// Whether another node is to be asked now.
    ask: bool,
    /// Whether there is none left, or no time.
    exhausted: bool,
    /// Whether the deadline has passed.
    overtime: bool,
}

/// Does the exchange over one node after the other until one answers, beginning with `first` when one is connected.
///
/// A repeatable exchange is also given to another node when one has been silent for long; the silent one may still win,
/// since it is perhaps only the target that is slow.
pub(crate) async fn first_answer<E: Exchange>(
    context: &Arc<Context>,
    failover: &mut Failover,
    exchange: &mut E,
    first: Option<Connected>,
) -> Result<Winner<E::Answer>, Refusal> {
    let (running, stall_timer, ask) = (FuturesUnordered::new(), StallTimer::default(), first.is_none());
    let mut race = Race { context, failover, exchange, running, stall_timer, ask, exhausted: false, overtime: false };
    if let Some(connected) = first {
        race.begin(connected);
    }
    loop {
        if let Some(won) = race.step().await? {
            return Ok(won);
        }
    }
}

impl<E: Exchange> Race<'_, E> {
    async fn step(&mut self) -> Result<Option<Winner<E::Answer>>, Refusal> {
        let repeatable = self.exchange.repeatable() && !self.exhausted;
        let alarm = self.stall_timer.alarm().filter(|_| repeatable);
        let deadline = self.failover.deadline();
        let step = tokio::select! {
            biased;
            Some(ended) = self.running.next() => Step::Ended(ended),
            connected = self.failover.connect_next(), if self.ask => Step::Connected(connected),
            () = sleep_until(alarm.unwrap_or(deadline)), if alarm.is_some() => Step::Alarm,
            () = sleep_until(deadline), if !self.overtime && self.exchange.repeatable() => Step::Deadline,
        };
        match step {
            Step::Connected(Ok(connected)) => self.begin(connected),
            Step::Connected(Err(refusal)) if self.running.is_empty() => return Err(refusal),
            Step::Connected(Err(_)) => (self.ask, self.exhausted) = (false, true),
            Step::Alarm => self.alarm(),
            Step::Deadline if self.exchange.patient() && !self.running.is_empty() => {
                (self.ask, self.exhausted, self.overtime) = (false, true, true);
            }
            Step::Deadline => return Err(self.failover.refusal()),
            Step::Ended(ended) => return self.ended(*ended),
        }
        Ok(None)
    }

    fn begin(&mut self, connected: Connected) {
        let Connected { stream, way, lease, report } = connected;
        let now = Instant::now();
        let delays = self.context.latency.delays(self.exchange.wait(), lease.latency(), self.failover.stall_count());
        self.stall_timer.begin(lease.id(), delays, now);
        self.ask = false;
        let sending = self.exchange.send(stream, way);
        self.running.push(Box::pin(async move {
            let result = sending.await;
            Box::new(Ended { result, lease, report, took: now.elapsed() })
        }));
    }

    fn alarm(&mut self) {
        while let Some(stall) = self.stall_timer.pop_due(Instant::now()) {
            if let Stall::Stalled(node) = stall {
                self.failover.silent(node, Stage::Exchange);
            }
            let enough = self.ask || self.stall_timer.has_fresh_attempt();
            self.ask = enough && self.ask || !enough && self.failover.may_start_another(stall);
        }
    }

    fn ended(&mut self, ended: Ended<E>) -> Result<Option<Winner<E::Answer>>, Refusal> {
        let Ended { result, lease, mut report, took } = ended;
        self.stall_timer.end(lease.id());
        let broken = match result {
            Ok(answer) => {
                if E::proves(&answer) {
                    self.context.latency.record(self.exchange.wait(), took);
                    report.succeeded();
                }
                return Ok(Some(Winner { answer, lease, report }));
            }
            Err(broken) => broken,
        };
        if let Some(refusal) = broken.client {
            return Err(refusal);
        }
        let again = self.exchange.repeatable() || broken.unsent.is_some();
        if let Some(unsent) = broken.unsent {
            self.exchange.put_back(unsent);
        }
        self.failover.failed(report, broken.fail);
        if self.running.is_empty() && (self.exhausted || !again) {
            return Err(self.failover.refusal());
        }
        let has_fresh_attempt = self.stall_timer.has_fresh_attempt() && !self.running.is_empty();
        self.ask |= again && !self.exhausted && !has_fresh_attempt;
        Ok(None)
    }
}
