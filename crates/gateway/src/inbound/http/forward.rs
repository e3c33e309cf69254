//! Absolute-form requests: made ready for any node, answered by the one that wins.

use std::sync::Arc;

use hezar_core::Stage;
use hezar_engine::{BoxStream, Cause};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, HOST},
    request,
};
use http_body_util::{Either, Empty};
use hyper::{
    body::{Body, Incoming},
    upgrade::OnUpgrade,
};

use super::{
    Connection, Handover, answer,
    body::{DownBody, OutBody, UpBody},
    exchange::exchange,
    headers,
    place::{self, Place},
};
use crate::{
    auth::Identity,
    course::{Broken, Course, Errand, Fail, Won, race},
    gateway::Shared,
    journal::Journal,
    limits::{Pass, Throttled},
    meter::Meter,
    pace::Wait,
};

/// A request ready for any node.
pub(super) struct Outgoing {
    head: request::Parts,
    /// The body; `None` when there is none, or when it has gone into an attempt.
    body: Option<Incoming>,
    /// Whether it may be sent again although a node may have passed it on: a safe method (RFC 9110 §9.2.1), no body.
    repeatable: bool,
    /// The client's side of the other protocol that it asks for.
    upgrade: Option<OnUpgrade>,
    pass: Pass,
    shared: Arc<Shared>,
}

/// An answer and the meter of its stream.
type Answered = (Response<DownBody>, Arc<Meter>);

impl Connection {
    pub(super) async fn forward(
        &self,
        request: Request<Incoming>,
        identity: &Identity,
        mut journal: Journal,
    ) -> Response<OutBody> {
        let place = match place::of_absolute(request.uri()) {
            Ok(place) => place,
            Err(refusal) => {
                journal.refused(&refusal, 0);
                return answer::response(&refusal);
            }
        };
        journal.target(&place.target);
        let mut course = Course::new(&self.shared, identity, self.client.ip(), &place.target);
        let mut outgoing = Outgoing::new(&self.shared, request, place, &identity.pass);
        match race(&self.shared, &mut course, &mut outgoing, None).await {
            Ok(won) => {
                journal.connected(won.lease.id(), course.attempts());
                journal.served(won.lease.id(), course.attempts());
                self.pass_on(won, outgoing, journal)
            }
            Err(refusal) => {
                journal.refused(&refusal, course.attempts());
                answer::response(&refusal)
            }
        }
    }

    /// The target's answer for the client.
    fn pass_on(&self, won: Won<Answered>, outgoing: Outgoing, mut journal: Journal) -> Response<OutBody> {
        let Won { answer: (mut response, meter), lease, verdict } = won;
        let switched = (response.status() == StatusCode::SWITCHING_PROTOCOLS).then_some(outgoing.upgrade).flatten();
        let Some(client) = switched else {
            let (mut head, body) = response.into_parts();
            headers::strip(&mut head.headers, false);
            return Response::from_parts(head, OutBody::node(body, meter, journal, lease));
        };
        let node = hyper::upgrade::on(&mut response);
        let protocol = headers::upgrade(response.headers());
        let (mut head, _) = response.into_parts();
        headers::strip(&mut head.headers, false);
        if let Some(protocol) = protocol {
            headers::ask_upgrade(&mut head.headers, protocol);
        }
        // hyper's marker for the node's side must not be taken for the client's.
        head.extensions.clear();
        journal.counts = meter.counts();
        *self.handover.lock() = Some(Handover::Upgrade { client, node, lease, verdict, journal });
        Response::from_parts(head, OutBody::empty())
    }
}

impl Outgoing {
    fn new(shared: &Arc<Shared>, mut request: Request<Incoming>, place: Place, pass: &Pass) -> Self {
        let protocol = headers::upgrade(request.headers());
        let upgrade = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        let body = Some(body).filter(|body| !body.is_end_stream());
        headers::strip(&mut head.headers, true);
        match protocol {
            Some(protocol) => headers::ask_upgrade(&mut head.headers, protocol),
            // Every request has a stream of its own, so the target need not wait for another one on it.
            None => drop(head.headers.insert(CONNECTION, HeaderValue::from_static("close"))),
        }
        head.headers.insert(HOST, place.host);
        head.uri = place.path;
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let repeatable = body.is_none() && (safe || shared.config.repeat_unsafe);
        Self { head, body, repeatable, upgrade, pass: pass.clone(), shared: shared.clone() }
    }
}

impl Errand for Outgoing {
    type Answer = Answered;
    type Unsent = Request<UpBody>;

    fn wait(&self) -> Wait {
        Wait::Head
    }

    fn repeatable(&self) -> bool {
        self.repeatable
    }

    fn patient(&self) -> bool {
        false
    }

    fn proves(_: &Answered) -> bool {
        true
    }

    fn send(&mut self, stream: BoxStream) -> impl Future<Output = Result<Answered, Broken<Self::Unsent>>> + 'static {
        let body = self.body.take().map_or_else(|| Either::Left(Empty::new()), Either::Right);
        let request = Request::from_parts(self.head.clone(), body);
        let (shared, switches, repeatable) = (self.shared.clone(), self.upgrade.is_some(), self.repeatable);
        let stream = Throttled::new(stream, &self.pass);
        async move {
            let (response, meter) = exchange(&shared, stream, request).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS && !switches {
                let cause = Cause::Protocol("an upgrade nobody asked for");
                return Err(Fail::new(Stage::Exchange, &cause, false).into());
            }
            let (head, body) = response.into_parts();
            let body = if repeatable { DownBody::settle(body).await } else { Ok(DownBody::Coming(body)) };
            let body = body.map_err(|error| Fail::of_stream(Stage::Exchange, &error))?;
            Ok((Response::from_parts(head, body), meter))
        }
    }

    fn put_back(&mut self, unsent: Self::Unsent) {
        if let Either::Right(body) = unsent.into_body() {
            self.body = Some(body);
        }
    }
}
