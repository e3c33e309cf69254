//! Where a connection failed, and whose fault it was.

use std::fmt;

/// How far a connection had come. The order is the order in which stages happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Looking up the server's name.
    Resolve,
    /// Opening the TCP connection (or UDP socket) to the server.
    Connect,
    /// The TLS or REALITY handshake with the server.
    Security,
    /// The transport's own handshake: WebSocket upgrade, HTTP/2 preface, …
    Transport,
    /// The proxy protocol's handshake: greeting, credentials, the request for a target.
    Handshake,
    /// The first exchange with the target through the node (a probe's request and answer).
    Exchange,
    /// Bytes flowing both ways.
    Relay,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 7] =
        [Self::Resolve, Self::Connect, Self::Security, Self::Transport, Self::Handshake, Self::Exchange, Self::Relay];

    /// Reads [`Stage::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// The stage's name in logs, metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Security => "security",
            Self::Transport => "transport",
            Self::Handshake => "handshake",
            Self::Exchange => "exchange",
            Self::Relay => "relay",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose fault a failure was: it decides whether a node is punished and whether another one is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The upstream node: dead, wrong credentials, garbage, silence.
    Node,
    /// The site behind the node: it refused, or its name does not exist.
    Target,
    /// Whoever asked: a malformed request, a connection given up.
    Client,
    /// This machine: no file descriptors, no route, a wrong configuration.
    Local,
}

impl Fault {
    /// The fault's name in logs, metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Target => "target",
            Self::Client => "client",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
