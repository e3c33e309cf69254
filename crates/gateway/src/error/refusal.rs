//! Why a request was not served, and how each protocol says so.

use std::{fmt, sync::Arc};

use hezar_core::{CodeDoc, Fault};
use http::StatusCode;
use thiserror::Error;

use super::{AttemptError, OptionError};

/// The span of time that a quota is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaPeriod {
    /// A day of UTC.
    Day,
    /// A calendar month of UTC.
    Month,
    /// All the time.
    Total,
}

impl fmt::Display for QuotaPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "whole time",
        })
    }
}

/// Why the gateway did not serve a request. Each variant has one stable code.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No node is healthy.
    #[error("no healthy upstream proxy is available, and nothing is ever sent directly{}", reason_suffix(.why.as_deref()))]
    PoolEmpty {
        /// Why that is so, when the application knows.
        why: Option<Arc<str>>,
    },
    /// Nodes are healthy, but none fits the options in the user name and the listener.
    #[error("no healthy upstream proxy matches the options in the user name and this listener")]
    NoMatch,
    /// Nodes are healthy, but none of them carries datagrams.
    #[error("no healthy upstream proxy carries datagrams")]
    NoDatagrams,
    /// Nodes are healthy, but all of them are HTTP proxies that carry no such request.
    #[error("no healthy upstream proxy carries requests to this port: they tunnel to port 443 only, or not at all")]
    NotCarried,
    /// Nodes are healthy, but those that carry plain requests would tell the target our address.
    #[error(
        "the healthy upstream proxies that could carry this plain request would tell its target your own address: use \
         https, add other nodes, or set proxy.allow_transparent = true"
    )]
    OnlyTransparent,
    /// Every node that was tried failed.
    #[error("all {attempts} upstream proxies that were tried failed; the last one: {last}")]
    AllFailed {
        /// How many were tried.
        attempts: u32,
        /// The last failure.
        last: AttemptError,
    },
    /// The site behind the nodes cannot be reached.
    #[error("the target cannot be reached: {0}")]
    Target(AttemptError),
    /// The deadline of the request passed.
    #[error("no upstream proxy had answered when the deadline passed ({attempts} tried)")]
    Deadline {
        /// How many were tried.
        attempts: u32,
    },
    /// Users are configured and the client named none.
    #[error("this proxy needs a user name and a password")]
    AuthMissing,
    /// The user or the password is wrong.
    #[error("the user name or the password is wrong")]
    AuthWrong,
    /// An option in the user name cannot be read.
    #[error("the user name has a bad option: {0}")]
    BadOption(OptionError),
    /// The request is malformed.
    #[error("{0}")]
    BadRequest(&'static str),
    /// A web request was sent to the proxy itself.
    #[error(
        "this is a proxy, not a web site: set it as the HTTP or SOCKS proxy of your client, \
         for example curl -x http://ADDRESS:PORT http://example.com/"
    )]
    NotProxied,
    /// The head of a request is longer than the limit.
    #[error("the head of the request is too large")]
    HeaderTooLarge,
    /// The client did not finish its request in time.
    #[error("the request was not complete in time")]
    ClientTimeout,
    /// The client closed the connection before its request was complete.
    #[error("the client closed the connection before its request was complete")]
    ClientGone,
    /// The client speaks HTTP/2 without having been offered it.
    #[error("this proxy speaks HTTP/1.1 and SOCKS, not HTTP/2")]
    Http2,
    /// The client began a TLS handshake.
    #[error("the client speaks TLS, but this port is plain: use http:// or socks5h:// in the proxy's address")]
    TlsOnPlainPort,
    /// A SOCKS command other than CONNECT and, in SOCKS5, UDP ASSOCIATE.
    #[error("the SOCKS command {0} is not supported")]
    UnsupportedCommand(&'static str),
    /// Bytes that SOCKS does not allow.
    #[error("malformed SOCKS request: {0}")]
    BadSocks(&'static str),
    /// As many clients are connected as the configuration allows.
    #[error("too many connections")]
    ConnectionLimit,
    /// The user has as much open, or begins as much per second, as the configuration allows.
    #[error("this user has reached a limit: try again in a moment")]
    UserLimit,
    /// Too many wrong passwords came from the client's address.
    #[error("too many logins from this address have failed: try again in a moment")]
    LoginLimit,
    /// The client's address has.
    #[error("this client has reached a limit: try again in a moment")]
    ClientLimit,
    /// As many associations are open as the configuration or this machine allows.
    #[error("too many UDP associations")]
    AssociationLimit,
    /// The user is switched off.
    #[error("this user is disabled")]
    UserDisabled,
    /// The user's time is over.
    #[error("the time of this user is over")]
    UserExpired,
    /// The user was removed while something of it was running.
    #[error("this user was removed")]
    UserRemoved,
    /// The user has moved as many bytes as it may.
    #[error("this user has used up its quota for the {0}")]
    QuotaExceeded(QuotaPeriod),
    /// The user may not come to this listener.
    #[error("this user may not use this listener")]
    ListenerDenied,
    /// The user may not leave from the country that was asked for.
    #[error("this user may not use exits in the country that was asked for")]
    CountryDenied,
    /// The listener or the user may not reach this port.
    #[error("port {0} may not be reached from here")]
    PortDenied(u16),
    /// The listener or the user may not reach this host.
    #[error("this host may not be reached from here")]
    HostDenied,
    /// The listener or the user may not reach private networks.
    #[error("targets on private networks may not be reached from here")]
    PrivateDenied,
    /// Somebody ended the connection through the API.
    #[error("the connection was ended by whoever runs this proxy")]
    Ended,
    /// The gateway is shutting down.
    #[error("the gateway is shutting down")]
    ShuttingDown,
}

/// The cause behind a text, if it is known.
fn reason_suffix(why: Option<&str>) -> String {
    why.map(|why| format!(": {why}")).unwrap_or_default()
}

impl Refusal {
    /// Every code of the gateway with its meaning, for docs/errors.md.
    pub const CODES: &'static [CodeDoc] = &[
        CodeDoc::new(
            "pool-empty",
            "No node is healthy, and none became so in time (`node_wait`); the request was refused, never sent directly.",
        ),
        CodeDoc::new(
            "no-match",
            "Nodes are healthy, but none matches the options in the user name and the listener, or what is selected (`clash.strict`).",
        ),
        CodeDoc::new("no-datagrams", "Nodes are healthy, but none of them carries datagrams."),
        CodeDoc::new(
            "only-transparent",
            "The only nodes left for a plain request would tell its target our own address (`X-Forwarded-For`): use https, add other nodes, or set `proxy.allow_transparent`.",
        ),
        CodeDoc::new(
            "not-carried",
            "Nodes are healthy, but all of them are HTTP proxies that tunnel to port 443 only, or not at all.",
        ),
        CodeDoc::new("all-attempts-failed", "Every node that was tried for the request failed."),
        CodeDoc::new("deadline", "The request's deadline passed before any node had answered."),
        CodeDoc::new("auth-missing", "Users are configured and the client sent no credentials."),
        CodeDoc::new("auth-wrong", "The user name or the password is wrong."),
        CodeDoc::new("bad-option", "An option in the user name is unknown or has an impossible value."),
        CodeDoc::new("bad-request", "The HTTP request to the proxy is malformed."),
        CodeDoc::new("not-a-proxy-request", "A web request (GET /path) was sent to the proxy port itself."),
        CodeDoc::new("header-too-large", "The head of the request is longer than the limit."),
        CodeDoc::new("client-timeout", "The client did not complete its request in time."),
        CodeDoc::new("client-gone", "The client closed the connection before its request was complete."),
        CodeDoc::new("http2", "The client sent the HTTP/2 preface; the port speaks HTTP/1.1 and SOCKS."),
        CodeDoc::new("tls-on-plain-port", "The client began a TLS handshake on the plain port."),
        CodeDoc::new("unsupported-command", "A SOCKS command other than CONNECT and UDP ASSOCIATE."),
        CodeDoc::new("bad-socks", "The client sent bytes that SOCKS does not allow."),
        CodeDoc::new(
            "connection-limit",
            "As many clients are connected as the configuration allows; one that has not logged in is closed for a new one.",
        ),
        CodeDoc::new("user-limit", "The user has reached its limit of open requests or requests per second."),
        CodeDoc::new(
            "client-limit",
            "The client's address has reached its limit of open requests or requests per second.",
        ),
        CodeDoc::new(
            "login-limit",
            "Too many wrong passwords came from the client's address; this login was not looked at.",
        ),
        CodeDoc::new(
            "association-limit",
            "As many UDP associations are open as the configuration or this machine allows.",
        ),
        CodeDoc::new("idle", "Nothing moved through a tunnel or an association for the idle time, and it was closed."),
        CodeDoc::new("user-disabled", "The user is switched off (`enabled = false`); what runs of it is ended."),
        CodeDoc::new("user-expired", "The time of the user (`expires`) is over; what runs of it is ended."),
        CodeDoc::new(
            "user-removed",
            "The user was removed, or its listener lists it no more, while the connection was open.",
        ),
        CodeDoc::new(
            "quota-exceeded",
            "The user has moved as many bytes as its quota for the day, the month or in all allows; what runs of it is ended.",
        ),
        CodeDoc::new("listener-denied", "The user may not use this listener (`listeners`)."),
        CodeDoc::new(
            "country-denied",
            "The user name asks for exits in a country that the user may not use (`countries`).",
        ),
        CodeDoc::new("port-denied", "The access rules of the listener or the user do not allow the target's port."),
        CodeDoc::new("host-denied", "The access rules of the listener or the user do not allow the target's host."),
        CodeDoc::new(
            "private-denied",
            "The target is on a private, loopback or link-local address, and neither the listener nor the user sets allow_private_targets.",
        ),
        CodeDoc::new("ended", "Somebody ended the connection through the API."),
        CodeDoc::new("shutting-down", "The gateway is shutting down and its grace period is over."),
    ];

    /// The stable code: one of [`Refusal::CODES`], or the engine's when the target is to blame.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PoolEmpty { .. } => "pool-empty",
            Self::NoMatch => "no-match",
            Self::NoDatagrams => "no-datagrams",
            Self::NotCarried => "not-carried",
            Self::OnlyTransparent => "only-transparent",
            Self::AllFailed { .. } => "all-attempts-failed",
            Self::Target(fail) => fail.code.as_str(),
            Self::Deadline { .. } => "deadline",
            Self::AuthMissing => "auth-missing",
            Self::AuthWrong => "auth-wrong",
            Self::BadOption(_) => "bad-option",
            Self::BadRequest(_) => "bad-request",
            Self::NotProxied => "not-a-proxy-request",
            Self::HeaderTooLarge => "header-too-large",
            Self::ClientTimeout => "client-timeout",
            Self::ClientGone => "client-gone",
            Self::Http2 => "http2",
            Self::TlsOnPlainPort => "tls-on-plain-port",
            Self::UnsupportedCommand(_) => "unsupported-command",
            Self::BadSocks(_) => "bad-socks",
            Self::ConnectionLimit => "connection-limit",
            Self::UserLimit => "user-limit",
            Self::ClientLimit => "client-limit",
            Self::LoginLimit => "login-limit",
            Self::AssociationLimit => "association-limit",
            Self::UserDisabled => "user-disabled",
            Self::UserExpired => "user-expired",
            Self::UserRemoved => "user-removed",
            Self::QuotaExceeded(_) => "quota-exceeded",
            Self::ListenerDenied => "listener-denied",
            Self::CountryDenied => "country-denied",
            Self::PortDenied(_) => "port-denied",
            Self::HostDenied => "host-denied",
            Self::PrivateDenied => "private-denied",
            Self::Ended => "ended",
            Self::ShuttingDown => "shutting-down",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::PoolEmpty { .. }
            | Self::NoMatch
            | Self::NoDatagrams
            | Self::NotCarried
            | Self::OnlyTransparent
            | Self::ConnectionLimit
            | Self::AssociationLimit
            | Self::Ended
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::UserDisabled
            | Self::UserExpired
            | Self::UserRemoved
            | Self::QuotaExceeded(_)
            | Self::ListenerDenied
            | Self::CountryDenied
            | Self::PortDenied(_)
            | Self::HostDenied
            | Self::PrivateDenied => StatusCode::FORBIDDEN,
            Self::AllFailed { .. } | Self::Target(_) => StatusCode::BAD_GATEWAY,
            Self::UserLimit | Self::ClientLimit | Self::LoginLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Deadline { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::AuthMissing | Self::AuthWrong => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Self::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ClientTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Http2 => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UnsupportedCommand(_) => StatusCode::NOT_IMPLEMENTED,
            Self::BadOption(_)
            | Self::BadRequest(_)
            | Self::NotProxied
            | Self::ClientGone
            | Self::TlsOnPlainPort
            | Self::BadSocks(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// The error type of `Proxy-Status` (RFC 9209 §2.3).
    #[must_use]
    pub fn proxy_error(&self) -> &'static str {
        match self {
            Self::PoolEmpty { .. }
            | Self::NoMatch
            | Self::NoDatagrams
            | Self::NotCarried
            | Self::OnlyTransparent
            | Self::ShuttingDown => "destination_unavailable",
            Self::AllFailed { last, .. } | Self::Target(last) => last.proxy_error(),
            Self::Deadline { .. } => "connection_timeout",
            Self::AuthMissing | Self::AuthWrong | Self::LoginLimit => "http_request_denied",
            _ if self.status() == StatusCode::FORBIDDEN => "http_request_denied",
            Self::ConnectionLimit | Self::AssociationLimit | Self::UserLimit | Self::ClientLimit => {
                "connection_limit_reached"
            }
            _ => "http_request_error",
        }
    }

    /// The reply field of SOCKS5 (RFC 1928 §6).
    ///
    /// A failed node is a general failure: the codes that speak of the target (3, 4, 5) are kept for the target, so
    /// that a client never concludes from a dead node that the site is down.
    #[must_use]
    pub fn socks5_reply(&self) -> u8 {
        match self {
            Self::Target(fail) => fail.socks5_reply(),
            Self::Deadline { .. } => 6,
            Self::UnsupportedCommand(_) | Self::NoDatagrams => 7,
            // Not allowed by the rule set.
            Self::AuthMissing | Self::AuthWrong => 2,
            _ if self.status() == StatusCode::FORBIDDEN => 2,
            Self::BadSocks("unknown address type") => 8,
            _ => 1,
        }
    }

    /// The reply code of SOCKS4: 93 when the client must be identified first, else 91.
    #[must_use]
    pub const fn socks4_reply(&self) -> u8 {
        match self {
            Self::AuthMissing | Self::AuthWrong => 93,
            _ => 91,
        }
    }

    /// Whether the client (and not a node, the target or this machine) is to blame.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::PoolEmpty { .. }
            | Self::NoMatch
            | Self::NoDatagrams
            | Self::NotCarried
            | Self::OnlyTransparent
            | Self::AllFailed { .. }
            | Self::Deadline { .. } => Fault::Node,
            Self::Target(_) => Fault::Target,
            Self::ConnectionLimit | Self::AssociationLimit | Self::ShuttingDown => Fault::Local,
            _ => Fault::Client,
        }
    }
}
