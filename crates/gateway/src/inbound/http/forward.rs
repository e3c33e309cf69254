//! Forwards absolute-form requests: one request is made ready for any node, and the first node that answers wins.

use std::sync::Arc;

use hezar_core::{Stage, Target};
use hezar_engine::{BoxStream, Cause};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, EXPECT, HOST},
    request,
};
use hyper::{
    body::{Body, Incoming},
    upgrade::OnUpgrade,
};

use super::{
    ClientConnection, PendingHandover, answer,
    body::{DownBody, ResponseBody},
    destination::ForwardTarget,
    exchange::{Answered, exchange},
    headers, proxy_answer, proxy_status,
    site_refusal::{ban_exit, fitting_rules, refusing_rule},
    upload::UploadBody,
};
use crate::{
    AttemptError,
    access::{Admission, Identity, Throttled},
    connections::{Connection, StreamMeter},
    context::Context,
    failover::{Exchange, ExchangeError, Failover, FormChoice, NodeLease, Wait, Winner, first_answer},
    telemetry::AccessLogEntry,
};

/// A request ready for any node.
pub(super) struct Outgoing {
    /// In origin form.
    head: request::Parts,
    target: Target,
    /// The value of `Host`, and the authority in absolute form.
    host: HeaderValue,
    /// The body; `None` when there is none, or when it has gone into an attempt.
    body: Option<Incoming>,
    /// Whether it may be sent again although a node may have passed it on: a safe method (RFC 9110 §9.2.1), no body.
    repeatable: bool,
    /// Whether the client holds the body back until the target says `100 Continue`.
    expects_continue: bool,
    /// Whether the request line is `OPTIONS *`, which has no absolute form that could be written.
    asks_server: bool,
    /// The client's side of the other protocol that it asks for.
    upgrade: Option<OnUpgrade>,
    admission: Admission,
    /// The place of the request among the connections.
    connection: Option<Arc<Connection>>,
    context: Arc<Context>,
}

impl ClientConnection {
    pub(super) async fn forward(
        &self,
        request: Request<Incoming>,
        place: ForwardTarget,
        identity: &Identity,
        mut log_entry: AccessLogEntry,
    ) -> Response<ResponseBody> {
        log_entry.begin(identity, Some(&place.target));
        let target = place.target.clone();
        let mut outgoing = Outgoing::new(&self.context, request, place, &log_entry);
        // Proxies seldom switch protocols for somebody else: that is asked for in a tunnel, as browsers do.
        let failover =
            if outgoing.upgrade.is_some() || outgoing.asks_server { Failover::new } else { Failover::for_http };
        let mut failover = failover(&self.context.selection, identity, self.client.ip(), &target);
        let end = log_entry.end();
        let answer = tokio::select! {
            biased;
            answer = first_answer(&mut failover, &mut outgoing, None) => answer,
            refusal = end.wait() => Err(refusal),
        };
        match answer {
            Ok(won) => {
                log_entry.connected(&won.lease, failover.attempts());
                log_entry.set_status(won.answer.response.status());
                log_entry.served(&won.lease, failover.attempts());
                let mut named = HeaderMap::new();
                proxy_status::name_exit(&mut named, &self.context, identity, &won.lease);
                let mut response = self.pass_on(won, outgoing, log_entry);
                response.headers_mut().extend(named);
                response
            }
            Err(refusal) => {
                log_entry.refused(&refusal, failover.attempts());
                answer::response(&refusal)
            }
        }
    }

    /// The target's answer for the client.
    fn pass_on(
        &self,
        won: Winner<Answered<DownBody>>,
        outgoing: Outgoing,
        log_entry: AccessLogEntry,
    ) -> Response<ResponseBody> {
        let Winner { answer: Answered { mut response, meter, end, refused_by: _ }, lease, report } = won;
        let switched = (response.status() == StatusCode::SWITCHING_PROTOCOLS).then_some(outgoing.upgrade).flatten();
        let Some(client) = switched else {
            let (mut head, body) = response.into_parts();
            headers::strip(&mut head.headers);
            headers::strip_exit(&mut head.headers);
            headers::foreign_extensions(&mut head.extensions);
            attach(&meter, &log_entry);
            return Response::from_parts(head, ResponseBody::node(body, end, log_entry, lease));
        };
        let node = hyper::upgrade::on(&mut response);
        let protocol = headers::upgrade(response.headers());
        let (mut head, _) = response.into_parts();
        headers::strip(&mut head.headers);
        headers::strip_exit(&mut head.headers);
        if let Some(protocol) = protocol {
            headers::ask_upgrade(&mut head.headers, protocol);
        }
        // hyper's marker for the node's side must not be taken for the client's.
        head.extensions.clear();
        attach(&meter, &log_entry);
        *self.handover.lock() = Some(PendingHandover::Upgrade { client, node, lease, report, log_entry });
        Response::from_parts(head, ResponseBody::empty())
    }
}

/// The bytes of the stream that won are those of the connection.
fn attach(meter: &StreamMeter, log_entry: &AccessLogEntry) {
    if let Some(connection) = log_entry.connection() {
        meter.attach(connection);
    }
}

impl Outgoing {
    fn new(
        context: &Arc<Context>,
        mut request: Request<Incoming>,
        place: ForwardTarget,
        log_entry: &AccessLogEntry,
    ) -> Self {
        let protocol = headers::upgrade(request.headers());
        let upgrade = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        let body = Some(body).filter(|body| !body.is_end_stream());
        headers::strip(&mut head.headers);
        let expects_continue =
            head.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        match protocol {
            Some(protocol) => headers::ask_upgrade(&mut head.headers, protocol),
            // Every request has a stream of its own, so the target need not wait for another one on it.
            None => drop(head.headers.insert(CONNECTION, HeaderValue::from_static("close"))),
        }
        let host = place.host;
        head.headers.insert(HOST, host.clone());
        let asks_server = head.method == Method::OPTIONS && place.is_pathless;
        // The last proxy writes the asterisk-form (RFC 9112 §3.2.4).
        head.uri = if asks_server { Uri::from_static("*") } else { place.path };
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let repeatable = body.is_none() && (safe || context.config().repeat_unsafe);
        Self {
            head,
            target: place.target,
            host,
            body,
            repeatable,
            expects_continue,
            asks_server,
            upgrade,
            admission: log_entry.admission().clone(),
            connection: log_entry.connection().cloned(),
            context: context.clone(),
        }
    }
}

/// A small body that was not whole. The end of the stream within it may be the target's doing, any other failure is the node's.
fn short_body_error(error: &hyper::Error) -> AttemptError {
    let fail = AttemptError::from_stream(Stage::Exchange, error);
    if fail.code == Cause::Closed.code() {
        return AttemptError::new(
            Stage::Exchange,
            &Cause::BadAnswer("its body ends before the length that it names"),
            false,
        );
    }
    fail
}

impl Exchange for Outgoing {
    type Answer = Answered<DownBody>;
    type Unsent = Request<UploadBody>;

    fn wait(&self) -> Wait {
        Wait::Head
    }

    fn repeatable(&self) -> bool {
        self.repeatable
    }

    fn outlives_deadline(&self) -> bool {
        false
    }

    fn proves(_: &Self::Answer) -> bool {
        true
    }

    fn is_refused_by_site(&mut self, answer: &Self::Answer, lease: &NodeLease) -> bool {
        let Some(rule) = &answer.refused_by else { return false };
        ban_exit(&self.context, lease, self.target.host(), rule);
        rule.retry
    }

    fn send(
        &mut self,
        stream: BoxStream,
        form: FormChoice,
    ) -> impl Future<Output = Result<Self::Answer, ExchangeError<Self::Unsent>>> + 'static {
        let body = UploadBody::new(self.body.take(), self.expects_continue);
        let mut request = Request::from_parts(self.head.clone(), body);
        form.form.apply(&mut request, self.host.to_str().unwrap_or_default());
        let (context, switches, repeatable) = (self.context.clone(), self.upgrade.is_some(), self.repeatable);
        let (connection, target) = (self.connection.clone(), self.target.clone());
        let stream = Throttled::new(stream, &self.admission);
        async move {
            let Answered { response, meter, end, .. } =
                exchange(&context, stream, request, connection.as_ref()).await?;
            if let Some(fail) = proxy_answer::failure(&response, &form, repeatable) {
                return Err(fail.into());
            }
            let impossible = match response.status() {
                StatusCode::SWITCHING_PROTOCOLS if !switches => Some("an upgrade that nobody asked for"),
                // Only a proxy asks for a proxy's password, and towards the client that is us.
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some("status 407, which only a proxy gives"),
                _ => None,
            };
            if let Some(what) = impossible {
                return Err(AttemptError::new(Stage::Exchange, &Cause::BadAnswer(what), false).into());
            }
            let (head, body) = response.into_parts();
            let body = if repeatable { DownBody::buffer_small(body).await } else { Ok(DownBody::Coming(body)) };
            let body = body.map_err(|error| short_body_error(&error))?;
            let fitting = fitting_rules(&context.config().feedback, target.host(), &head);
            let looked_at = refusing_rule(fitting, &head, body).await;
            let (refused_by, body) = looked_at.map_err(|error| short_body_error(&error))?;
            Ok(Answered { response: Response::from_parts(head, body), meter, end, refused_by })
        }
    }

    fn put_back(&mut self, unsent: Self::Unsent) {
        self.body = unsent.into_body().into_inner();
    }
}
