//! How each protocol tells its client of a refusal: the HTTP status, the error type of Proxy-Status, the replies of SOCKS.

use hezar_core::Fault;
use hezar_engine::server::RequestRefusal;
use http::StatusCode;

use super::Refusal;

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::PoolEmpty { .. }
            | Self::NoMatch
            | Self::NoDatagrams
            | Self::NoOnion
            | Self::NotCarried
            | Self::OnlyTransparent
            | Self::ConnectionLimit
            | Self::AssociationLimit
            | Self::Ended
            | Self::NoCertificate
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::UserDisabled
            | Self::UserExpired
            | Self::UserRemoved
            | Self::QuotaExceeded(_)
            | Self::ClientDenied
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
            | Self::PlainOnTlsPort
            | Self::TlsHandshake(_)
            | Self::ProxyHeader(_)
            | Self::UntrustedProxy
            | Self::Stranger(_)
            | Self::Replayed
            | Self::ClientClock
            | Self::BadInbound(_)
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
            | Self::NoOnion
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

    /// What a client of an encrypted inbound is told.
    #[must_use]
    pub(crate) fn request_refusal(&self) -> RequestRefusal {
        match self {
            Self::Target(_) => RequestRefusal::Unreachable,
            Self::UserLimit | Self::ClientLimit | Self::ConnectionLimit | Self::AssociationLimit => {
                RequestRefusal::Busy
            }
            _ if self.status() == StatusCode::FORBIDDEN => RequestRefusal::Forbidden,
            _ => RequestRefusal::Failed,
        }
    }

    /// Whether the client (and not a node, the target or this machine) is to blame.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::PoolEmpty { .. }
            | Self::NoMatch
            | Self::NoDatagrams
            | Self::NoOnion
            | Self::NotCarried
            | Self::OnlyTransparent
            | Self::AllFailed { .. }
            | Self::Deadline { .. } => Fault::Node,
            Self::Target(_) => Fault::Target,
            Self::ConnectionLimit | Self::AssociationLimit | Self::NoCertificate | Self::ShuttingDown => Fault::Local,
            _ => Fault::Client,
        }
    }
}
