//! The stable code of each refusal, with its meaning for docs/errors.md.

use hezar_core::CodeDoc;

use super::Refusal;

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
            "no-onion",
            "The target's name ends in `.onion`, and none of the healthy nodes is a Tor circuit: see docs/tor.md.",
        ),
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
        CodeDoc::new("plain-on-tls-port", "The client spoke plainly to a port that speaks TLS."),
        CodeDoc::new("tls-handshake", "The TLS handshake with the client failed."),
        CodeDoc::new("no-certificate", "The port speaks TLS and has no certificate yet; `hezar status` says why."),
        CodeDoc::new(
            "proxy-header",
            "A trusted proxy (`proxy_protocol`) sent no header of the PROXY protocol, or none that can be read.",
        ),
        CodeDoc::new(
            "untrusted-proxy",
            "A header of the PROXY protocol came from an address that `proxy_protocol` does not name.",
        ),
        CodeDoc::new(
            "unsupported-command",
            "A SOCKS command other than CONNECT and UDP ASSOCIATE, or what an encrypted listener does not serve, such as sing-box's multiplex.",
        ),
        CodeDoc::new("bad-socks", "The client sent bytes that SOCKS does not allow."),
        CodeDoc::new(
            "stranger",
            "Whoever came to an encrypted listener is no client of it: it showed no credential that a user has, or spoke something else.",
        ),
        CodeDoc::new("replayed", "The bytes of a client's request were seen before at this listener."),
        CodeDoc::new(
            "client-clock",
            "The clock of a client is too far from this machine's for its protocol (Shadowsocks 2022, REALITY).",
        ),
        CodeDoc::new(
            "bad-inbound",
            "The handshake of an encrypted inbound, such as that of TLS, failed before a request was read.",
        ),
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
        CodeDoc::new(
            "client-denied",
            "The listener has no users, and `open_to` does not name the network of the client's address.",
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
            Self::NoOnion => "no-onion",
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
            Self::PlainOnTlsPort => "plain-on-tls-port",
            Self::TlsHandshake(_) => "tls-handshake",
            Self::NoCertificate => "no-certificate",
            Self::ProxyHeader(_) => "proxy-header",
            Self::UntrustedProxy => "untrusted-proxy",
            Self::UnsupportedCommand(_) => "unsupported-command",
            Self::BadSocks(_) => "bad-socks",
            Self::Stranger(_) => "stranger",
            Self::Replayed => "replayed",
            Self::ClientClock => "client-clock",
            Self::BadInbound(_) => "bad-inbound",
            Self::ConnectionLimit => "connection-limit",
            Self::UserLimit => "user-limit",
            Self::ClientLimit => "client-limit",
            Self::LoginLimit => "login-limit",
            Self::AssociationLimit => "association-limit",
            Self::UserDisabled => "user-disabled",
            Self::UserExpired => "user-expired",
            Self::UserRemoved => "user-removed",
            Self::QuotaExceeded(_) => "quota-exceeded",
            Self::ClientDenied => "client-denied",
            Self::ListenerDenied => "listener-denied",
            Self::CountryDenied => "country-denied",
            Self::PortDenied(_) => "port-denied",
            Self::HostDenied => "host-denied",
            Self::PrivateDenied => "private-denied",
            Self::Ended => "ended",
            Self::ShuttingDown => "shutting-down",
        }
    }
}
