//! One request in the access log: it is counted when it is answered, and its line is written when it ends.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hezar_core::{Country, NodeId, Target};
use hezar_pool::Lease;
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::{AccessRecord, InboundKind, RecentError, Telemetry};
use crate::{
    LogPrivacy, Refusal, SessionId, SessionNameRef,
    access::{Admission, Escaped, Identity},
    connections::{Connection, EndSignal, NewConnection, OpenConnection},
    spans::{RequestEnd, TraceHandle},
};

/// One request from its head to its last byte. Writes its log line when it is dropped.
#[derive(Debug)]
pub(crate) struct AccessLogEntry {
    telemetry: Arc<Telemetry>,
    inbound: InboundKind,
    client: IpAddr,
    user: Box<str>,
    /// Whether the user is configured. Anybody can invent names where no users are: those are not counted apart.
    is_known_user: bool,
    session: Option<SessionId>,
    admission: Admission,
    /// The trace of the request, if it is sampled.
    trace: TraceHandle,
    target: Option<Target>,
    started: Instant,
    method: Option<Method>,
    status: Option<StatusCode>,
    node: Option<NodeId>,
    exit: Option<IpAddr>,
    country: Option<Country>,
    /// From its head to a connected node.
    connect: Option<Duration>,
    /// From its head to the answer.
    first_byte: Option<Duration>,
    /// Its place in the registry, from when it is known who wants what.
    connection: Option<OpenConnection>,
    attempts: u32,
    answered: bool,
    /// How it went; the answer's code, or how the tunnel ended.
    pub(crate) code: &'static str,
}

impl AccessLogEntry {
    /// Begins with what is known when the head of the request has been read.
    pub(crate) fn new(telemetry: &Arc<Telemetry>, inbound: InboundKind, client: SocketAddr) -> Self {
        Self {
            telemetry: telemetry.clone(),
            inbound,
            client: client.ip().to_canonical(),
            user: "".into(),
            is_known_user: false,
            session: None,
            admission: Admission::default(),
            trace: TraceHandle::default(),
            target: None,
            started: Instant::now(),
            method: None,
            status: None,
            node: None,
            exit: None,
            country: None,
            connect: None,
            first_byte: None,
            connection: None,
            attempts: 0,
            answered: false,
            code: "client-gone",
        }
    }

    /// Somebody who may asks for a target, or for an association: it is listed among the connections from now on.
    pub(crate) fn begin(&mut self, identity: &Identity, target: Option<&Target>) {
        self.user = identity.user.clone();
        self.admission = identity.admission.clone();
        self.trace = identity.trace.clone();
        self.target = target.cloned();
        // Session names may be account names of the user's own; the log says the number by which the API knows them.
        let listener = self.telemetry.listener();
        let id = |session| SessionNameRef { listener, user: &identity.user, session }.id();
        self.session = identity.options.session.as_deref().map(id);
        let user = identity.known.as_ref().map(|known| &*known.name);
        self.is_known_user = user.is_some();
        let telemetry = &self.telemetry;
        self.connection = Some(telemetry.connections.open(NewConnection {
            listener: telemetry.metrics.listener().clone(),
            inbound: self.inbound.name(),
            client: self.client,
            user: self.user.clone(),
            target: self.target.clone(),
            since: telemetry.clock.now(),
            counters: telemetry.metrics.byte_counters(user),
            account: user.map(|user| telemetry.usage.account(user)),
        }));
    }

    /// Where the client wants to go, whether it may or not.
    pub(crate) fn set_target(&mut self, target: &Target) {
        self.target = Some(target.clone());
    }

    /// Who has logged in, whether it may go there or not.
    pub(crate) fn set_user(&mut self, user: &str) {
        self.user = user.into();
    }

    /// The method that the client's request has.
    pub(crate) fn set_method(&mut self, method: Method) {
        self.method = Some(method);
    }

    /// The status that the client is told.
    pub(crate) const fn set_status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Its place among the connections.
    pub(crate) fn connection(&self) -> Option<&Arc<Connection>> {
        self.connection.as_ref().map(OpenConnection::connection)
    }

    /// Bytes have moved between client and node.
    pub(crate) fn add_bytes(&self, up: u64, down: u64) {
        if let Some(connection) = self.connection() {
            connection.add_bytes(up, down);
        }
    }

    /// Comes when the connection is to be ended.
    pub(crate) fn end(&self) -> EndSignal {
        EndSignal::new(self.connection().cloned())
    }

    /// Why the connection is to be ended; absent while it may go on.
    pub(crate) fn end_reason(&self) -> Option<Refusal> {
        self.connection()?.end_reason()
    }

    /// How many more bytes the user may move.
    pub(crate) fn allowance(&self) -> u64 {
        self.connection().map_or(u64::MAX, |connection| connection.allowance())
    }

    /// The right to this request, which ends with the entry.
    pub(crate) const fn admission(&self) -> &Admission {
        &self.admission
    }

    /// A node is connected, the last of `attempts`; another one may still take over.
    pub(crate) fn connected<D>(&mut self, lease: &Lease<D>, attempts: u32) {
        self.moved(lease, attempts);
        let elapsed = self.started.elapsed();
        self.connect = Some(elapsed);
        self.telemetry.metrics.first_success(elapsed);
    }

    /// A node serves it, the last of `attempts`.
    pub(crate) fn served<D>(&mut self, lease: &Lease<D>, attempts: u32) {
        self.moved(lease, attempts);
        self.answered(attempts);
    }

    /// It counts as served by the node that was connected last, after `attempts`.
    pub(crate) fn answered(&mut self, attempts: u32) {
        (self.attempts, self.answered, self.code) = (attempts, true, "ok");
        self.first_byte = Some(self.started.elapsed());
        self.status = self.status.or(Some(StatusCode::OK));
        self.count("ok");
    }

    /// Counts the request with its code, once.
    fn count(&self, outcome: &'static str) {
        let metrics = &self.telemetry.metrics;
        metrics.request(self.inbound.name(), outcome, self.code);
        if self.is_known_user {
            metrics.user_request(&self.user, outcome);
        }
        if self.attempts > 1 {
            metrics.failover(outcome);
        }
    }

    /// Hands the span over, if the request is sampled; what is private in logs is private there, too.
    fn finish_trace(&mut self) {
        let (mut trace, privacy) = (std::mem::take(&mut self.trace), self.telemetry.privacy());
        trace.finish(|| RequestEnd {
            listener: self.telemetry.metrics.listener().clone(),
            inbound: self.inbound.name(),
            target: self.target.clone().filter(|_| !privacy.targets),
            code: self.code,
            node: self.node,
            bytes: self.connection().map_or((0, 0), |connection| connection.bytes()),
        });
    }

    /// Another node goes on with it, the last of `attempts`.
    pub(crate) fn moved<D>(&mut self, lease: &Lease<D>, attempts: u32) {
        (self.node, self.attempts) = (Some(lease.id()), attempts);
        let record = lease.record();
        (self.exit, self.country) = (record.exit_ip, record.country);
        if let Some(connection) = self.connection() {
            connection.set_node(lease.id(), record.exit_ip);
        }
    }

    /// It is refused.
    pub(crate) fn refused(&mut self, refusal: &Refusal, attempts: u32) {
        (self.attempts, self.answered, self.code) = (attempts, true, refusal.code());
        self.status = Some(refusal.status());
        let outcome = if refusal.fault() == hezar_core::Fault::Client { "refused" } else { "failed" };
        self.count(outcome);
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        if !self.answered {
            self.count("refused");
        }
        self.write_line();
        self.finish_trace();
        let telemetry = Arc::clone(&self.telemetry);
        telemetry.access_log.record(|| self.take_record());
    }
}

/// Writes the line of a request, with the same fields at every level.
macro_rules! line {
    ($level:ident, $log_entry:expr, $left_out:expr) => {{
        let log_entry = $log_entry;
        let LogPrivacy { users, targets, clients } = log_entry.telemetry.privacy();
        let show = |target: &Target| target.to_string();
        let (up, down) = log_entry.connection().map_or((0, 0), |connection| connection.bytes());
        let milliseconds = u64::try_from(log_entry.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::$level!(
            client = (!clients).then(|| tracing::field::display(log_entry.client)),
            listener = %log_entry.telemetry.listener(), inbound = log_entry.inbound.name(),
            user = (!users).then(|| tracing::field::display(Escaped(&log_entry.user))),
            session = log_entry.session.filter(|_| !users).map(tracing::field::display),
            destination = log_entry.target.as_ref().filter(|_| !targets).map(show),
            node = log_entry.node.map(tracing::field::display),
            attempts = log_entry.attempts, code = log_entry.code, up, down,
            milliseconds, left_out = $left_out, "request"
        );
    }};
}

impl AccessLogEntry {
    /// Writes the line of the request into the program's log.
    fn write_line(&self) {
        if self.code == "ok" {
            // A busy gateway serves thousands a second: their lines are for debugging.
            return self.write_debug(0);
        }
        // A wrong password has had its line when it was looked at.
        let told = if self.code == Refusal::AuthWrong.code() {
            None
        } else {
            self.telemetry.log.permits(self.code, self.client)
        };
        let Some(left_out) = told else { return self.write_debug(0) };
        self.telemetry.metrics.recent_error(RecentError {
            at: self.telemetry.clock.now(),
            inbound: self.inbound.name(),
            user: self.user.clone(),
            target: self.target.clone(),
            node: self.node,
            code: self.code,
        });
        self.write_info(left_out);
    }

    fn write_info(&self, left_out: u64) {
        line!(info, self, left_out);
    }

    fn write_debug(&self, left_out: u64) {
        line!(debug, self, left_out);
    }

    /// The record for the access log; the entry has ended.
    fn take_record(&mut self) -> AccessRecord {
        let (up, down) = self.connection().map_or((0, 0), |connection| connection.bytes());
        let record = AccessRecord {
            at: self.telemetry.clock.wall(),
            listener: self.telemetry.metrics.listener().clone(),
            inbound: self.inbound.name(),
            method: self.method.take(),
            client: Some(self.client),
            user: Some(std::mem::take(&mut self.user)),
            session: self.session,
            target: self.target.take(),
            node: self.node,
            exit: self.exit,
            country: self.country,
            attempts: self.attempts,
            code: self.code,
            status: self.status.map(|status| status.as_u16()),
            up,
            down,
            connect: self.connect,
            first_byte: self.first_byte,
            total: self.started.elapsed(),
        };
        record.without(self.telemetry.privacy())
    }
}
