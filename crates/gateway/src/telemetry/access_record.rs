//! What the access log is given of a request when it has ended, and where it is handed over.

use std::{fmt::Debug, net::IpAddr, sync::Arc, time::Duration};

use hezar_core::{Country, NodeId, Target, Timestamp};
use http::Method;
use parking_lot::RwLock;

use crate::{LogPrivacy, SessionId};

/// One request that has ended. What the log is not to tell is left out already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRecord {
    /// When it ended, by the wall clock.
    pub at: Timestamp,
    /// The listener that it came to.
    pub listener: Arc<str>,
    /// How it came in: `http`, `connect`, `socks4`, `socks5` or `socks5-udp`.
    pub inbound: &'static str,
    /// The method of an HTTP request, CONNECT too.
    pub method: Option<Method>,
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// The user; empty when the client gave no name.
    pub user: Option<Box<str>>,
    /// The session, by the id that the API knows.
    pub session: Option<SessionId>,
    /// Where it went; absent for an association too, whose datagrams each name their own target.
    pub target: Option<Target>,
    /// The node that served it last.
    pub node: Option<NodeId>,
    /// The exit address of that node, when it is known.
    pub exit: Option<IpAddr>,
    /// The country of that exit.
    pub country: Option<Country>,
    /// How many nodes were tried.
    pub attempts: u32,
    /// How it went: `ok`, or a code of docs/errors.md.
    pub code: &'static str,
    /// The HTTP status that the client was told, or would have been told over HTTP; absent when it went before an answer.
    pub status: Option<u16>,
    /// Bytes from the client to the node.
    pub up: u64,
    /// Bytes from the node to the client.
    pub down: u64,
    /// From its head to a connected node.
    pub connect: Option<Duration>,
    /// From its head to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// From its head to its end.
    pub total: Duration,
}

/// Takes the records of requests. It is called on the task of a request, so it must neither wait nor take long.
pub trait AccessSink: Debug + Send + Sync {
    /// Takes one record.
    fn record(&self, record: AccessRecord);
}

/// Where a gateway records its requests. The place can be exchanged while it serves.
#[derive(Debug, Default)]
pub struct AccessLog(RwLock<Option<Arc<dyn AccessSink>>>);

impl AccessLog {
    /// Records go here from now on; `None`: nowhere.
    pub fn set_sink(&self, sink: Option<Arc<dyn AccessSink>>) {
        *self.0.write() = sink;
    }

    /// Where records go.
    #[must_use]
    pub fn sink(&self) -> Option<Arc<dyn AccessSink>> {
        self.0.read().clone()
    }

    /// Hands a record over, which is only made when somebody takes it.
    pub(super) fn record(&self, make: impl FnOnce() -> AccessRecord) {
        if let Some(sink) = self.sink() {
            sink.record(make());
        }
    }
}

impl AccessRecord {
    /// The same without what is not to be told.
    pub(super) fn without(mut self, privacy: LogPrivacy) -> Self {
        if privacy.clients {
            self.client = None;
        }
        if privacy.users {
            (self.user, self.session) = (None, None);
        }
        if privacy.targets {
            self.target = None;
        }
        self
    }
}
