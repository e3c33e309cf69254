//! The story of one request: counted when it is answered, one log line when it is over.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hezar_core::{NodeId, Target};
use tokio::time::Instant;

use crate::{
    Refusal, SessionKey, Trouble, access::Escaped, auth::Identity, gateway::Shared, limits::Pass, relay::Counts,
};

/// The way a request came in; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    Http,
    Connect,
    Socks4,
    Socks5,
    Udp,
}

impl Inbound {
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
pub(crate) struct Journal {
    shared: Arc<Shared>,
    inbound: Inbound,
    client: IpAddr,
    user: Box<str>,
    session: Option<SessionId>,
    pass: Pass,
    target: Option<Target>,
    started: Instant,
    node: Option<NodeId>,
    attempts: u32,
    answered: bool,
    /// How it went; the answer's code, or how the tunnel ended.
    pub(crate) code: &'static str,
    pub(crate) counts: Counts,
}

impl Journal {
    /// Begins with what is known when the head of the request has been read.
    pub(crate) fn new(shared: &Arc<Shared>, inbound: Inbound, client: SocketAddr) -> Self {
        Self {
            shared: shared.clone(),
            inbound,
            client: client.ip().to_canonical(),
            user: "".into(),
            session: None,
            pass: Pass::default(),
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
    pub(crate) fn identity(&mut self, identity: &Identity) {
        self.user = identity.user.clone();
        self.pass = identity.pass.clone();
        // Session names may be account names of the user's own; the log says the number by which the API knows them.
        let listener = &*self.shared.config.name;
        let key = |session| SessionKey { listener, user: &identity.user, session }.id();
        self.session = identity.options.session.as_deref().map(|session| SessionId(key(session)));
    }

    /// The right to this request, which ends with the journal.
    pub(crate) const fn pass(&self) -> &Pass {
        &self.pass
    }

    /// For what.
    pub(crate) fn target(&mut self, target: &Target) {
        self.target = Some(target.clone());
    }

    /// A node is connected, the last of `attempts`; another one may still take over.
    pub(crate) fn connected(&mut self, node: NodeId, attempts: u32) {
        (self.node, self.attempts) = (Some(node), attempts);
        self.shared.metrics.first_success(self.started.elapsed());
    }

    /// A node serves it, the last of `attempts`.
    pub(crate) fn served(&mut self, node: NodeId, attempts: u32) {
        (self.node, self.attempts, self.answered, self.code) = (Some(node), attempts, true, "ok");
        self.shared.metrics.request(self.inbound.name(), "ok", "ok");
    }

    /// Another node goes on with it, the last of `attempts`.
    pub(crate) const fn moved(&mut self, node: NodeId, attempts: u32) {
        (self.node, self.attempts) = (Some(node), attempts);
    }

    /// It is refused.
    pub(crate) fn refused(&mut self, refusal: &Refusal, attempts: u32) {
        (self.attempts, self.answered, self.code) = (attempts, true, refusal.code());
        let outcome = if refusal.fault() == hezar_core::Fault::Client { "refused" } else { "failed" };
        self.shared.metrics.request(self.inbound.name(), outcome, self.code);
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

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.metrics.request(self.inbound.name(), "refused", self.code);
        }
        self.counts.tell(&self.shared.metrics);
        if self.code == "ok" {
            // Worth a line only to whoever looks for it: a busy gateway serves thousands a second.
            return self.tell_quietly(0);
        }
        // A wrong password has had its line when it was looked at.
        let told =
            if self.code == Refusal::AuthWrong.code() { None } else { self.shared.log.tells(self.code, self.client) };
        let Some(left_out) = told else { return self.tell_quietly(0) };
        self.shared.metrics.trouble(Trouble {
            at: self.shared.clock.now(),
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
    ($level:ident, $journal:expr, $left_out:expr) => {{
        let journal = $journal;
        let show = |target: &Target| target.to_string();
        let milliseconds = u64::try_from(journal.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::$level!(
            client = %journal.client, listener = %journal.shared.config.name, inbound = journal.inbound.name(),
            user = %Escaped(&journal.user), session = journal.session.map(tracing::field::display),
            destination = journal.target.as_ref().map(show), node = journal.node.map(tracing::field::display),
            attempts = journal.attempts, code = journal.code, up = journal.counts.up, down = journal.counts.down,
            milliseconds, left_out = $left_out, "request"
        );
    }};
}

impl Journal {
    fn tell(&self, left_out: u64) {
        line!(info, self, left_out);
    }

    fn tell_quietly(&self, left_out: u64) {
        line!(debug, self, left_out);
    }
}
