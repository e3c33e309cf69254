//! Absolute-form requests: made ready for any node, answered by the one that wins.

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
    body::{OutBody, UpBody},
    headers,
    place::{self, Place},
    race::{Answered, race},
};
use crate::{auth::Identity, course::Course, journal::Journal};

/// A request ready for any node.
pub(super) struct Outgoing {
    head: request::Parts,
    /// The body; `None` when there is none, or when it has gone into an attempt.
    body: Option<Incoming>,
    /// Whether it may be sent again although a node may have passed it on: a safe method (RFC 9110 §9.2.1), no body.
    pub repeatable: bool,
    /// The client's side of the other protocol that it asks for.
    upgrade: Option<OnUpgrade>,
}

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
        let mut outgoing = Outgoing::new(request, place);
        match race(&self.shared, &mut course, &mut outgoing).await {
            Ok(answered) => {
                journal.served(answered.lease.id(), course.attempts());
                self.pass_on(answered, outgoing, journal)
            }
            Err(refusal) => {
                journal.refused(&refusal, course.attempts());
                answer::response(&refusal)
            }
        }
    }

    /// The target's answer for the client.
    fn pass_on(&self, answered: Answered, outgoing: Outgoing, mut journal: Journal) -> Response<OutBody> {
        let Answered { mut response, meter, lease, verdict } = answered;
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
    fn new(mut request: Request<Incoming>, place: Place) -> Self {
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
        Self { repeatable: safe && body.is_none(), head, body, upgrade }
    }

    /// Whether it asks for another protocol.
    pub(super) const fn switches(&self) -> bool {
        self.upgrade.is_some()
    }

    /// The request for one attempt.
    pub(super) fn take(&mut self) -> Request<UpBody> {
        let body = self.body.take().map_or_else(|| Either::Left(Empty::new()), Either::Right);
        Request::from_parts(self.head.clone(), body)
    }

    /// The request was not written at all: its body is still whole.
    pub(super) fn put_back(&mut self, unsent: Option<Request<UpBody>>) {
        if let Some(Either::Right(body)) = unsent.map(Request::into_body) {
            self.body = Some(body);
        }
    }
}
