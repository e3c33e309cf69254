//! One request, one answer: from the first node, or from another one when that fails or stays silent for too long.
//!
//! The same for an HTTP exchange and for the first flight of a tunnel; what differs is the [`Errand`].

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hezar_core::Stage;
use hezar_engine::BoxStream;
use tokio::time::{Instant, sleep_until};

use super::{Course, Fail, NodeLease, Ring, Route, Verdict, Vigil, Way};
use crate::{Refusal, gateway::Shared, pace::Wait};

/// What is to be done over one node, and perhaps over another one.
pub(crate) trait Errand {
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
        way: Way,
    ) -> impl Future<Output = Result<Self::Answer, Broken<Self::Unsent>>> + Send + 'static;

    /// It was not sent at all, and is whole again.
    fn put_back(&mut self, unsent: Self::Unsent);
}

/// A try that failed before an answer had arrived.
pub(crate) struct Broken<U> {
    pub fail: Fail,
    /// What was to be sent, when not one byte of it was written.
    pub unsent: Option<U>,
    /// Why the request ends here, when the client itself is to blame; nobody else is then.
    pub client: Option<Refusal>,
}

impl<U> From<Fail> for Broken<U> {
    fn from(fail: Fail) -> Self {
        Self { fail, unsent: None, client: None }
    }
}

/// The answer that counts, and the node that gave it.
pub(crate) struct Won<A> {
    pub answer: A,
    pub lease: NodeLease,
    pub verdict: Verdict,
}

/// A node's try is over.
struct Ended<E: Errand> {
    result: Result<E::Answer, Broken<E::Unsent>>,
    lease: NodeLease,
    verdict: Verdict,
    took: Duration,
}

/// What happens next in a race.
enum Step<E: Errand> {
    Ended(Box<Ended<E>>),
    Connected(Result<Route, Refusal>),
    Alarm,
    Deadline,
}

type Try<E> = Pin<Box<dyn Future<Output = Box<Ended<E>>> + Send>>;

/// The nodes that were asked and have not answered yet.
struct Race<'a, E: Errand> {
    shared: &'a Arc<Shared>,
    course: &'a mut Course,
    errand: &'a mut E,
    running: FuturesUnordered<Try<E>>,
    vigil: Vigil,
    /// Whether another node is to be asked now.
    ask: bool,
    /// Whether there is none left, or no time.
    exhausted: bool,
    /// Whether the deadline has passed.
    overtime: bool,
}

/// Does the errand over one node after the other until one answers, beginning with `first` when one is connected.
///
/// A repeatable errand is also given to another node when one has been silent for long; the silent one may still win,
/// since it is perhaps only the target that is slow.
pub(crate) async fn race<E: Errand>(
    shared: &Arc<Shared>,
    course: &mut Course,
    errand: &mut E,
    first: Option<Route>,
) -> Result<Won<E::Answer>, Refusal> {
    let (running, vigil, ask) = (FuturesUnordered::new(), Vigil::default(), first.is_none());
    let mut race = Race { shared, course, errand, running, vigil, ask, exhausted: false, overtime: false };
    if let Some(route) = first {
        race.begin(route);
    }
    loop {
        if let Some(won) = race.step().await? {
            return Ok(won);
        }
    }
}

impl<E: Errand> Race<'_, E> {
    async fn step(&mut self) -> Result<Option<Won<E::Answer>>, Refusal> {
        let repeatable = self.errand.repeatable() && !self.exhausted;
        let alarm = self.vigil.alarm().filter(|_| repeatable);
        let deadline = self.course.deadline();
        let step = tokio::select! {
            biased;
            Some(ended) = self.running.next() => Step::Ended(ended),
            route = self.course.next(), if self.ask => Step::Connected(route),
            () = sleep_until(alarm.unwrap_or(deadline)), if alarm.is_some() => Step::Alarm,
            () = sleep_until(deadline), if !self.overtime && self.errand.repeatable() => Step::Deadline,
        };
        match step {
            Step::Connected(Ok(route)) => self.begin(route),
            Step::Connected(Err(refusal)) if self.running.is_empty() => return Err(refusal),
            Step::Connected(Err(_)) => (self.ask, self.exhausted) = (false, true),
            Step::Alarm => self.alarm(),
            Step::Deadline if self.errand.patient() && !self.running.is_empty() => {
                (self.ask, self.exhausted, self.overtime) = (false, true, true);
            }
            Step::Deadline => return Err(self.course.refusal()),
            Step::Ended(ended) => return self.ended(*ended),
        }
        Ok(None)
    }

    fn begin(&mut self, route: Route) {
        let Route { stream, way, lease, verdict } = route;
        let now = Instant::now();
        let patience = self.shared.pace.patience(self.errand.wait(), lease.latency(), self.course.silences());
        self.vigil.begin(lease.id(), patience, now);
        self.ask = false;
        let sending = self.errand.send(stream, way);
        self.running.push(Box::pin(async move {
            let result = sending.await;
            Box::new(Ended { result, lease, verdict, took: now.elapsed() })
        }));
    }

    fn alarm(&mut self) {
        while let Some(ring) = self.vigil.ring(Instant::now()) {
            if let Ring::Lost(node) = ring {
                self.course.silent(node, Stage::Exchange);
            }
            let enough = self.ask || self.vigil.hopeful();
            self.ask = enough && self.ask || !enough && self.course.may_ask(ring);
        }
    }

    fn ended(&mut self, ended: Ended<E>) -> Result<Option<Won<E::Answer>>, Refusal> {
        let Ended { result, lease, mut verdict, took } = ended;
        self.vigil.end(lease.id());
        let broken = match result {
            Ok(answer) => {
                if E::proves(&answer) {
                    self.shared.pace.note(self.errand.wait(), took);
                    verdict.good();
                }
                return Ok(Some(Won { answer, lease, verdict }));
            }
            Err(broken) => broken,
        };
        if let Some(refusal) = broken.client {
            return Err(refusal);
        }
        let again = self.errand.repeatable() || broken.unsent.is_some();
        if let Some(unsent) = broken.unsent {
            self.errand.put_back(unsent);
        }
        self.course.failed(verdict, broken.fail);
        if self.running.is_empty() && (self.exhausted || !again) {
            return Err(self.course.refusal());
        }
        let hopeful = self.vigil.hopeful() && !self.running.is_empty();
        self.ask |= again && !self.exhausted && !hopeful;
        Ok(None)
    }
}
