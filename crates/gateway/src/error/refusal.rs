//! Why a request was not served. The codes are in `codes`, and what each protocol answers is in `replies`.

use std::{fmt, io, sync::Arc};

use hezar_accept::HeaderError;
use hezar_engine::server::StrangerReason;
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
    /// Nodes are healthy, but none of them is a Tor circuit, and the target is an onion service.
    #[error("no healthy upstream proxy reaches onion services: add a source with tor = 10")]
    NoOnion,
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
    /// The client speaks plainly, and the port speaks TLS.
    #[error("this port speaks TLS: use https:// in the proxy's address, or a plain port")]
    PlainOnTlsPort,
    /// The TLS handshake with the client failed.
    #[error("the TLS handshake with the client failed: {0}")]
    TlsHandshake(Arc<io::Error>),
    /// The port speaks TLS, and has no certificate yet.
    #[error("this port has no certificate yet, so that no TLS handshake can succeed")]
    NoCertificate,
    /// A trusted proxy sent no header of the PROXY protocol, or none that can be read.
    #[error("a connection from a trusted proxy (proxy_protocol) is refused: {0}")]
    ProxyHeader(HeaderError),
    /// Somebody sent a header of the PROXY protocol whom nobody trusts to.
    #[error("a header of the PROXY protocol came from an address that proxy_protocol does not name")]
    UntrustedProxy,
    /// A SOCKS command other than CONNECT and, in SOCKS5, UDP ASSOCIATE; or what an encrypted inbound does not carry.
    #[error("the command {0} is not supported")]
    UnsupportedCommand(&'static str),
    /// Bytes that SOCKS does not allow.
    #[error("malformed SOCKS request: {0}")]
    BadSocks(&'static str),
    /// Whoever came to an encrypted listener is no client of it.
    #[error("{}", stranger_text(*.0))]
    Stranger(StrangerReason),
    /// A client's bytes were seen before at this listener.
    #[error("a request was sent for the second time")]
    Replayed,
    /// The clock of a client is too far from ours.
    #[error("the client's clock is too far from this machine's")]
    ClientClock,
    /// A connection to an encrypted listener failed before its request was read.
    #[error("the handshake of an encrypted inbound failed: {0}")]
    BadInbound(Arc<io::Error>),
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
    /// There are no users, and clients at this address would need one.
    #[error("this address is not open to your network without a user")]
    ClientDenied,
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

/// How the log names a stranger.
const fn stranger_text(why: StrangerReason) -> &'static str {
    match why {
        StrangerReason::Credential => "a client showed a credential that no user has",
        StrangerReason::TooShort => "a connection ended before its request was whole",
        _ => "a connection does not speak the protocol of this listener",
    }
}

impl From<StrangerReason> for Refusal {
    fn from(why: StrangerReason) -> Self {
        match why {
            StrangerReason::Replayed => Self::Replayed,
            StrangerReason::Clock => Self::ClientClock,
            StrangerReason::Command(command) => Self::UnsupportedCommand(command),
            StrangerReason::Credential | StrangerReason::Protocol | StrangerReason::TooShort => Self::Stranger(why),
        }
    }
}
