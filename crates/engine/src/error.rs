//! Why a connection failed: the stage, the cause, and from them whose fault it was.

use std::io;

use hezar_core::{CodeDoc, Fault, Stage};
use thiserror::Error;

/// What [`Cause::ServerFailure`] says when an HTTP proxy does not know the method CONNECT.
pub(crate) const NO_CONNECT: &str = "it does not accept CONNECT";

/// A failed attempt: how far it came, and what stopped it.
#[derive(Debug, Error)]
#[error("{stage}: {cause}")]
pub struct DialError {
    /// How far the connection had come.
    pub stage: Stage,
    /// What stopped it.
    #[source]
    pub cause: Cause,
}

impl DialError {
    /// A failure at a stage.
    #[must_use]
    pub const fn new(stage: Stage, cause: Cause) -> Self {
        Self { stage, cause }
    }

    /// Whose fault it was.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.cause.fault()
    }

    /// Whether another node might succeed where this one failed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self.cause.fault() {
            Fault::Node => true,
            // A node may be wrong about a target (blocked exit, broken resolver); asking one more is cheap.
            Fault::Target => true,
            // Another node may have an address of the family that this machine can reach.
            Fault::Local => {
                matches!(
                    self.cause,
                    Cause::ForbiddenAddress
                        | Cause::OwnListener
                        | Cause::Unsupported(_)
                        | Cause::NoRoute
                        | Cause::CoreUnavailable(_)
                        | Cause::CoreRefused(_)
                )
            }
            Fault::Client => false,
        }
    }

    /// Whether an HTTP proxy refuses to open tunnels (to this port), as squid does by default for ports other than 443.
    #[must_use]
    pub fn refuses_tunnel(&self) -> bool {
        let refused = match self.cause {
            Cause::Forbidden => true,
            Cause::ServerFailure(what) => what == NO_CONNECT,
            _ => false,
        };
        refused && self.stage == Stage::Handshake
    }

    /// The stable code for logs, metrics, the API and `Proxy-Status`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.cause.code()
    }
}

/// What stopped a connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The deadline passed.
    #[error("timed out")]
    Timeout,
    /// The server's name does not exist or no resolver answered.
    #[error("the server's name could not be resolved")]
    Unresolved,
    /// The server's address is private, loopback, link-local or this machine's own, and its source does not allow that.
    #[error("the server's address is not public, or this machine's own; its source needs allow_private = true")]
    ForbiddenAddress,
    /// The server is this process.
    #[error("the server is this proxy's own listener; requests would go round in circles")]
    OwnListener,
    /// The server refused the TCP connection.
    #[error("connection refused")]
    Refused,
    /// The server reset the connection.
    #[error("connection reset")]
    Reset,
    /// The server closed the connection in the middle of a handshake.
    #[error("connection closed")]
    Closed,
    /// A node of the chain has no route to the server.
    #[error("no route to the server")]
    Unreachable,
    /// This machine has no route to the server: it is offline, or has no address of that family.
    #[error("this machine has no route to the server; is it online?")]
    NoRoute,
    /// This machine ran out of something (file descriptors, ports, memory).
    #[error("this machine is out of resources: {0}")]
    Exhausted(#[source] io::Error),
    /// Some other failure of the socket.
    #[error("socket error: {0}")]
    Io(#[source] io::Error),
    /// The server's certificate was not accepted.
    #[error("certificate not accepted: {0}")]
    Certificate(Box<str>),
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Tls(Box<str>),
    /// The server's answer to a browser's ClientHello is one that only the browser understands.
    #[error("TLS handshake with a browser's hello failed: {0}")]
    Hello(Box<str>),
    /// The transport's opening request was answered with an HTTP status other than the expected one.
    #[error("the transport was refused with HTTP status {0}")]
    TransportStatus(u16),
    /// The server answered with bytes that the protocol does not allow.
    #[error("protocol violation: {0}")]
    Protocol(&'static str),
    /// The server did not accept our credentials.
    #[error("the server did not accept the credentials")]
    Authentication,
    /// The server refuses this target by its own rules.
    #[error("the server's rules forbid the target")]
    Forbidden,
    /// The server says that it cannot reach the target.
    #[error("the server could not reach the target: {0}")]
    TargetUnreachable(&'static str),
    /// The server failed for a reason it did not name.
    #[error("the server failed: {0}")]
    ServerFailure(&'static str),
    /// A proxy core tried the node and failed; it does not say at which stage or why.
    #[error("the Clash core could not reach the target through it")]
    CoreFailed,
    /// The target answered, but not as expected.
    #[error("unexpected answer: {0}")]
    UnexpectedAnswer(Box<str>),
    /// What came back is no answer of HTTP that can be read: by the target's fault or, when another node brings one, by the node's.
    #[error("the answer is not HTTP that can be read: {0}")]
    BadAnswer(&'static str),
    /// The protocol or this build cannot do what was asked.
    #[error("{0} not supported")]
    Unsupported(&'static str),
    /// The core that dials the node does not run now, or has no room for it.
    #[error("the core that dials this node cannot be used now: {0}")]
    CoreUnavailable(&'static str),
    /// The core that would dial the node does not take its description.
    #[error("the core does not take this node: {0}")]
    CoreRefused(Box<str>),
}

impl Cause {
    /// Every code with its meaning, for docs/errors.md.
    pub const CODES: &'static [CodeDoc] = &[
        CodeDoc::new("timeout", "The deadline passed at the stage named beside the code."),
        CodeDoc::new("dns", "The server's name does not exist, or no resolver answered."),
        CodeDoc::new(
            "forbidden-address",
            "The server's address is private, loopback, link-local or this machine's own, and its source does not set allow_private.",
        ),
        CodeDoc::new("own-listener", "The server is this proxy's own listener: requests would go round in circles."),
        CodeDoc::new("refused", "The server refused the TCP connection."),
        CodeDoc::new("reset", "The server reset the connection."),
        CodeDoc::new("closed", "The server closed the connection before the handshake or the answer was over."),
        CodeDoc::new("unreachable", "There is no route to the server from the node before it in the chain."),
        CodeDoc::new(
            "no-route",
            "This machine has no route to the server: it is offline, or has no address of that family (IPv6).",
        ),
        CodeDoc::new("exhausted", "This machine is out of file descriptors, ports or memory."),
        CodeDoc::new("io", "The socket failed for another reason, given in the text."),
        CodeDoc::new("certificate", "The server's certificate does not verify or does not match the pin."),
        CodeDoc::new("tls", "The TLS handshake failed before or after the certificate."),
        CodeDoc::new(
            "transport-status",
            "The WebSocket or HTTP opening was answered with another status than the expected one.",
        ),
        CodeDoc::new("protocol", "The server answered with bytes that the protocol does not allow."),
        CodeDoc::new("authentication", "The server did not accept the credentials."),
        CodeDoc::new("forbidden", "The server's own rules forbid the target."),
        CodeDoc::new("target-unreachable", "The server says that it cannot reach the target."),
        CodeDoc::new("server-failure", "The server reports a failure of its own."),
        CodeDoc::new(
            "core-failed",
            "A Clash core tried the node and got no answer through it; such a core does not say why.",
        ),
        CodeDoc::new("unexpected-answer", "The target answered with another status or body than expected."),
        CodeDoc::new(
            "bad-answer",
            "The answer to a plain HTTP request is not HTTP that can be read; the text says what is wrong with it.",
        ),
        CodeDoc::new("unsupported", "The protocol or this build cannot do what was asked."),
        CodeDoc::new(
            "core-unavailable",
            "The core that dials the node (mihomo or Xray) does not run now, or all nodes that it has room for are in use.",
        ),
        CodeDoc::new(
            "core-refused",
            "The core that would dial the node (mihomo or Xray) does not take its description; the text says why. The node is never dialled.",
        ),
    ];

    /// The code of [`Self::CoreUnavailable`].
    pub const CORE_UNAVAILABLE: &'static str = "core-unavailable";
    /// The code of [`Self::CoreRefused`].
    pub const CORE_REFUSED: &'static str = "core-refused";

    /// The stable code; one of [`Cause::CODES`].
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unresolved => "dns",
            Self::ForbiddenAddress => "forbidden-address",
            Self::OwnListener => "own-listener",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::NoRoute => "no-route",
            Self::Exhausted(_) => "exhausted",
            Self::Io(_) => "io",
            Self::Certificate(_) => "certificate",
            Self::Tls(_) | Self::Hello(_) => "tls",
            Self::TransportStatus(_) => "transport-status",
            Self::Protocol(_) => "protocol",
            Self::Authentication => "authentication",
            Self::Forbidden => "forbidden",
            Self::TargetUnreachable(_) => "target-unreachable",
            Self::ServerFailure(_) => "server-failure",
            Self::CoreFailed => "core-failed",
            Self::UnexpectedAnswer(_) => "unexpected-answer",
            Self::BadAnswer(_) => "bad-answer",
            Self::Unsupported(_) => "unsupported",
            Self::CoreUnavailable(_) => Self::CORE_UNAVAILABLE,
            Self::CoreRefused(_) => Self::CORE_REFUSED,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TargetUnreachable(_) => Fault::Target,
            Self::Exhausted(_)
            | Self::Unsupported(_)
            | Self::ForbiddenAddress
            | Self::OwnListener
            | Self::NoRoute
            | Self::CoreUnavailable(_)
            | Self::CoreRefused(_) => Fault::Local,
            _ => Fault::Node,
        }
    }
}

impl Cause {
    /// The same cause, when it is one with which the stream of a node ends; others tell of a handshake, and mean something else in the midst
    /// of an exchange.
    pub(crate) const fn of_stream(&self) -> Option<Self> {
        match *self {
            Self::Timeout => Some(Self::Timeout),
            Self::Refused => Some(Self::Refused),
            Self::Reset => Some(Self::Reset),
            Self::Closed => Some(Self::Closed),
            Self::Unreachable => Some(Self::Unreachable),
            Self::Protocol(what) => Some(Self::Protocol(what)),
            Self::Authentication => Some(Self::Authentication),
            Self::Forbidden => Some(Self::Forbidden),
            Self::TargetUnreachable(what) => Some(Self::TargetUnreachable(what)),
            Self::ServerFailure(what) => Some(Self::ServerFailure(what)),
            Self::CoreUnavailable(what) => Some(Self::CoreUnavailable(what)),
            _ => None,
        }
    }

    /// The cause of a failure to reach the first server of a node from a socket of this machine. What says nothing about
    /// a server there says that this machine has no way to it.
    pub(crate) fn of_own_socket(error: io::Error) -> Self {
        match Self::from(error) {
            Self::Unreachable => Self::NoRoute,
            other => other,
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        // A layer beneath may have wrapped its own cause to get it through AsyncRead or AsyncWrite.
        let error = match error.downcast::<Self>() {
            Ok(cause) => return cause,
            Err(error) => error,
        };
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Self::Reset,
            Kind::UnexpectedEof => Self::Closed,
            Kind::TimedOut => Self::Timeout,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => Self::Unreachable,
            Kind::OutOfMemory | Kind::QuotaExceeded | Kind::AddrNotAvailable => Self::Exhausted(error),
            // ENFILE 23, EMFILE 24, ENOBUFS 105 (Linux): no ErrorKind of their own.
            _ if matches!(error.raw_os_error(), Some(23 | 24 | 105)) => Self::Exhausted(error),
            _ => Self::Io(error),
        }
    }
}

impl From<Cause> for io::Error {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Io(error) | Cause::Exhausted(error) => error,
            cause => Self::other(cause),
        }
    }
}
