//! The story of one request: counted when it is answered, one log line when it is over.

use std::sync::Arc;

use hezar_core::{NodeId, Target};
use hezar_pool::hash_key;
use tokio::time::Instant;

use crate::{Refusal, Trouble, auth::Identity, gateway::Shared, limits::Pass, relay::Counts};

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
    user: Box<str>,
    session: Option<u64>,
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
    pub(crate) fn new(shared: &Arc<Shared>, inbound: Inbound) -> Self {
        Self {
            shared: shared.clone(),
            inbound,
            user: "".into(),
            session: None,
            pass: Pass::default(),
            target: None,
            started: Instant::now(),
            node: None,
            attempts: 0,
            answered: false,
            code: "client-gone",
            counts: Counts { up: 0, down: 0 },
        }
    }

    /// Who asks.
    pub(crate) fn identity(&mut self, identity: &Identity) {
        self.user = identity.user.clone();
        self.pass = identity.pass.clone();
        // Session names may be account names of the user's own; the log shows only which requests belong together.
        self.session = identity.options.session.as_deref().map(hash_key);
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

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.metrics.request(self.inbound.name(), "refused", self.code);
        }
        self.shared.metrics.moved(self.counts.up, self.counts.down);
        if self.code != "ok" {
            self.shared.metrics.trouble(Trouble {
                at: self.shared.clock.now(),
                inbound: self.inbound.name(),
                user: self.user.clone(),
                target: self.target.clone(),
                node: self.node,
                code: self.code,
            });
        }
        let target = self.target.as_ref().map(tracing::field::display);
        let node = self.node.as_ref().map(tracing::field::display);
        let (up, down) = (self.counts.up, self.counts.down);
        let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // A success is worth a line only to whoever looks for it: a busy gateway serves thousands a second.
        if self.code == "ok" {
            tracing::debug!(
                inbound = self.inbound.name(), user = %self.user, session = self.session, target, node,
                attempts = self.attempts, code = self.code, up, down, milliseconds, "request"
            );
        } else {
            tracing::info!(
                inbound = self.inbound.name(), user = %self.user, session = self.session, target, node,
                attempts = self.attempts, code = self.code, up, down, milliseconds, "request"
            );
        }
    }
}
