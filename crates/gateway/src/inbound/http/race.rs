//! One request, one answer: from the first node, or from another one when that fails or stays silent for long.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hezar_core::{NodeId, Stage};
use hezar_engine::Cause;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use super::{
    body::UpBody,
    exchange::{Broken, exchange},
    forward::Outgoing,
};
use crate::{
    Refusal,
    course::{Course, Fail, NodeLease, Route, Verdict},
    gateway::Shared,
    meter::Meter,
};

/// Longer than any exchange lives; it ends by its own idle time.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// The answer that counts, and the node that gave it.
pub(super) struct Answered {
    pub response: Response<Incoming>,
    pub meter: Arc<Meter>,
    pub lease: NodeLease,
    pub verdict: Verdict,
}

/// A node's try is over.
struct Ended {
    result: Result<(Response<Incoming>, Arc<Meter>), Broken>,
    lease: NodeLease,
    verdict: Verdict,
}

/// What happens next in a race.
enum Step {
    Ended(Box<Ended>),
    Connected(Result<Route, Refusal>),
    Silence,
}

/// The nodes that were asked and have not answered yet.
struct Race<'a> {
    shared: &'a Arc<Shared>,
    course: &'a mut Course,
    outgoing: &'a mut Outgoing,
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Box<Ended>> + Send>>>,
    /// Whether another node is to be asked now.
    ask: bool,
    /// Whether there is none left.
    exhausted: bool,
    /// The node asked last.
    last: Option<NodeId>,
    /// Until when to wait for it alone.
    patience: Instant,
}

/// Sends the request over one node after the other until one answers.
///
/// A request that may be repeated is also sent over another node when one has been silent for its share of the time;
/// the silent one may still win, since it is perhaps only the target that is slow.
pub(super) async fn race(
    shared: &Arc<Shared>,
    course: &mut Course,
    outgoing: &mut Outgoing,
) -> Result<Answered, Refusal> {
    let patience = Instant::now() + FAR;
    let running = FuturesUnordered::new();
    let mut race = Race { shared, course, outgoing, running, ask: true, exhausted: false, last: None, patience };
    loop {
        if let Some(answered) = race.step().await? {
            return Ok(answered);
        }
    }
}

impl Race<'_> {
    async fn step(&mut self) -> Result<Option<Answered>, Refusal> {
        let step = tokio::select! {
            biased;
            Some(ended) = self.running.next() => Step::Ended(ended),
            route = self.course.next(), if self.ask => Step::Connected(route),
            () = sleep_until(self.patience), if !self.ask => Step::Silence,
        };
        match step {
            Step::Connected(Ok(route)) => self.begin(route),
            Step::Connected(Err(refusal)) if self.running.is_empty() => return Err(refusal),
            Step::Connected(Err(_)) => {
                (self.ask, self.exhausted) = (false, true);
                self.patience = Instant::now() + self.course.remaining();
            }
            Step::Silence => self.silence()?,
            Step::Ended(ended) => return self.ended(*ended),
        }
        Ok(None)
    }

    fn begin(&mut self, route: Route) {
        let Route { stream, lease, verdict } = route;
        let request: Request<UpBody> = self.outgoing.take();
        let shared = self.shared.clone();
        let wait = if self.outgoing.repeatable { self.course.time_share() } else { FAR };
        (self.last, self.patience, self.ask) = (Some(lease.id()), Instant::now() + wait, false);
        self.running.push(Box::pin(async move {
            let result = exchange(&shared, stream, request).await;
            Box::new(Ended { result, lease, verdict })
        }));
    }

    fn silence(&mut self) -> Result<(), Refusal> {
        if !self.outgoing.repeatable {
            self.patience = Instant::now() + FAR;
            return Ok(());
        }
        if let Some(node) = self.last.take() {
            self.course.silent(node);
        }
        if self.exhausted || self.course.remaining().is_zero() {
            return Err(self.course.refusal());
        }
        self.ask = true;
        Ok(())
    }

    fn ended(&mut self, ended: Ended) -> Result<Option<Answered>, Refusal> {
        let Ended { result, lease, mut verdict } = ended;
        let broken = match result {
            Ok((response, _)) if response.status() == StatusCode::SWITCHING_PROTOCOLS && !self.outgoing.switches() => {
                Broken::from(Fail::new(Stage::Exchange, &Cause::Protocol("an upgrade nobody asked for"), false))
            }
            Ok((response, meter)) => {
                verdict.good();
                return Ok(Some(Answered { response, meter, lease, verdict }));
            }
            Err(broken) => broken,
        };
        let again = self.outgoing.repeatable || broken.unsent.is_some();
        self.outgoing.put_back(broken.unsent);
        self.course.failed(verdict, broken.fail);
        if self.running.is_empty() && (self.exhausted || !again) {
            return Err(self.course.refusal());
        }
        self.ask = again && !self.exhausted;
        Ok(None)
    }
}
