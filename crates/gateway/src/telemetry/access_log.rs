//! The story of one request: counted when it is answered, one log line when it is over.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hezar_core::{NodeId, Target};
use tokio::time::Instant;

use super::{Counts, RecentError, Telemetry};
use crate::{
    Refusal, SessionKey,
    access::{Admission, Escaped, Identity},
};

/// The way a request came in; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InboundKind {
    Http,
    Connect,
    Socks4,
    Socks5,
    Udp,
}

impl InboundKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Connect => "connect",
            Self::Socks4 => "socks4",
            Self::Socks5 => "socks5",
            Self::Udp => "socks5-udp",
        }
    }
}

/// One request from its head to its last byte. Writes its log line when it is dropped.
#[derive(Debug)]
pub(crate) struct AccessLogEntry {
    telemetry: Arc<Telemetry>,
    inbound: InboundKind,
    client: IpAddr,
    user: Box<str>,
    session: Option<SessionId>,
    admission: Admission,
    target: Option<Target>,
    started: Instant,
    node: Option<NodeId>,
    attempts: u32,
    answered: bool,
    /// How it went; the answer's code, or how the tunnel ended.
    pub(crate) code: &'static str,
    pub(crate) counts: Counts,
}

impl AccessLogEntry {
    /// Begins with what is known when the head of the request has been read.
    pub(crate) fn new(telemetry: &Arc<Telemetry>, inbound: InboundKind, client: SocketAddr) -> Self {
        Self {
            telemetry: telemetry.clone(),
            inbound,
            client: client.ip().to_canonical(),
            user: "".into(),
            session: None,
            admission: Admission::default(),
            target: None,
            started: Instant::now(),
            node: None,
            attempts: 0,
            answered: false,
            code: "client-gone",
            counts: Counts::default(),
        }
    }

    /// Who asks.
    pub(crate) fn set_identity(&mut self, identity: &Identity) {
        self.user = identity.user.clone();
        self.admission = identity.admission.clone();
        // Session names may be account names of the user's own; the log says the number by which the API knows them.
        let listener = &*self.telemetry.listener;
        let key = |session| SessionKey { listener, user: &identity.user, session }.id();
        self.session = identity.options.session.as_deref().map(|session| SessionId(key(session)));
    }

    /// The right to this request, which ends with the log_entry.
    pub(crate) const fn admission(&self) -> &Admission {
        &self.admission
    }

    /// For what.
    pub(crate) fn set_target(&mut self, target: &Target) {
        self.target = Some(target.clone());
    }

    /// A node is connected, the last of `attempts`; another one may still take over.
    pub(crate) fn connected(&mut self, node: NodeId, attempts: u32) {
        (self.node, self.attempts) = (Some(node), attempts);
        self.telemetry.metrics.first_success(self.started.elapsed());
    }

    /// A node serves it, the last of `attempts`.
    pub(crate) fn served(&mut self, node: NodeId, attempts: u32) {
        (self.node, self.attempts, self.answered, self.code) = (Some(node), attempts, true, "ok");
        self.telemetry.metrics.request(self.inbound.name(), "ok", "ok");
    }

    /// Another node goes on with it, the last of `attempts`.
    pub(crate) const fn moved(&mut self, node: NodeId, attempts: u32) {
        (self.node, self.attempts) = (Some(node), attempts);
    }

    /// It is refused.
    pub(crate) fn refused(&mut self, refusal: &Refusal, attempts: u32) {
        (self.attempts, self.answered, self.code) = (attempts, true, refusal.code());
        let outcome = if refusal.fault() == hezar_core::Fault::Client { "refused" } else { "failed" };
        self.telemetry.metrics.request(self.inbound.name(), outcome, self.code);
    }
}

/// A session as the API names it.
#[derive(Clone, Copy, Debug)]
struct SessionId(u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        if !self.answered {
            self.telemetry.metrics.request(self.inbound.name(), "refused", self.code);
        }
        self.counts.tell(&self.telemetry.metrics);
        if self.code == "ok" {
            // Worth a line only to whoever looks for it: a busy gateway serves thousands a second.
            return self.tell_quietly(0);
        }
        // A wrong password has had its line when it was looked at.
        let told = if self.code == Refusal::AuthWrong.code() {
            None
        } else {
            self.telemetry.log.permits(self.code, self.client)
        };
        let Some(left_out) = told else { return self.tell_quietly(0) };
        self.telemetry.metrics.recent_error(RecentError {
            at: self.telemetry.clock.now(),
            inbound: self.inbound.name(),
            user: self.user.clone(),
            target: self.target.clone(),
            node: self.node,
            code: self.code,
        });
        self.tell(left_out);
    }
}

/// Writes the line of a request: its event, with the same fields at every level.
macro_rules! line {
    ($level:ident, $log_entry:expr, $left_out:expr) => {{
        let log_entry = $log_entry;
        let show = |target: &Target| target.to_string();
        let milliseconds = u64::try_from(log_entry.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::$level!(
            client = %log_entry.client, listener = %log_entry.telemetry.listener, inbound = log_entry.inbound.name(),
            user = %Escaped(&log_entry.user), session = log_entry.session.map(tracing::field::display),
            destination = log_entry.target.as_ref().map(show), node = log_entry.node.map(tracing::field::display),
            attempts = log_entry.attempts, code = log_entry.code, up = log_entry.counts.up, down = log_entry.counts.down,
            milliseconds, left_out = $left_out, "request"
        );
    }};
}

impl AccessLogEntry {
    fn tell(&self, left_out: u64) {
        line!(info, self, left_out);
    }

    fn tell_quietly(&self, left_out: u64) {
        line!(debug, self, left_out);
    }
}
