//! One failed attempt in a form that can be kept, logged and shown.

use std::{error::Error, fmt, io};

use hezar_core::{Code, Fault, Stage};
use hezar_engine::{Cause, DialError};

/// One failed attempt: where, whose fault, which code.
#[derive(Clone, Debug)]
pub struct AttemptError {
    /// How far the attempt came.
    pub stage: Stage,
    /// Whose fault it was.
    pub fault: Fault,
    /// The engine's stable code.
    pub code: Code,
    /// The cause in words.
    pub text: Box<str>,
    /// Whether the fault is certain. A node that connected and then fell silent or hung up may only have passed on
    /// what the target did: it is blamed when another node serves the same request.
    pub sure: bool,
    /// Whether an HTTP proxy that was never probed refused the absolute form: the same node is asked for a tunnel then.
    pub(crate) wants_tunnel: bool,
}

impl AttemptError {
    pub(crate) fn new(stage: Stage, cause: &Cause, sure: bool) -> Self {
        Self {
            stage,
            fault: cause.fault(),
            code: Code::new(cause.code()),
            text: cause.to_string().into(),
            sure,
            wants_tunnel: false,
        }
    }

    /// A plain request that an HTTP proxy, of which nothing is known yet, did not take.
    pub(crate) fn refuses_plain(cause: &Cause) -> Self {
        Self { wants_tunnel: true, ..Self::new(Stage::Handshake, cause, false) }
    }

    /// A failure of an open stream. Only a cause that a layer of the engine put there is certain.
    pub(crate) fn from_stream(stage: Stage, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        let mut kind = None;
        while let Some(error) = next {
            if let Some(cause) = error.downcast_ref::<Cause>() {
                return Self::from_layer(stage, cause);
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                kind.get_or_insert(error.kind());
                if let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Cause>()) {
                    return Self::from_layer(stage, cause);
                }
            }
            next = error.source();
        }
        Self::new(stage, &kind.map_or(Cause::Closed, |kind| Cause::from(io::Error::from(kind))), false)
    }

    /// A cause that a layer of the engine told: certain, but for an answer that the target itself may have garbled.
    fn from_layer(stage: Stage, cause: &Cause) -> Self {
        Self::new(stage, cause, !matches!(cause, Cause::BadAnswer(_)))
    }

    /// Whether the target may have done it: two nodes that say the same are believed, as when they cannot reach it.
    pub(crate) fn may_be_target_fault(&self) -> bool {
        self.fault == Fault::Target || self.code == "bad-answer"
    }

    /// The error type of `Proxy-Status` (RFC 9209 §2.3).
    pub(crate) fn proxy_error(&self) -> &'static str {
        match self.code.as_str() {
            "timeout" => "connection_timeout",
            "dns" => "dns_error",
            "refused" => "connection_refused",
            "reset" | "closed" => "connection_terminated",
            "certificate" => "tls_certificate_error",
            "tls" => "tls_protocol_error",
            "forbidden-address" | "own-listener" => "destination_ip_prohibited",
            "unreachable" | "no-route" => "destination_ip_unroutable",
            "exhausted" => "proxy_internal_error",
            "bad-answer" => "http_protocol_error",
            _ => "destination_unavailable",
        }
    }

    /// The reply field of SOCKS5 (RFC 1928 §6) when the target is to blame.
    pub(crate) fn socks5_reply(&self) -> u8 {
        match self.code.as_str() {
            "refused" => 5,
            "timeout" => 6,
            "unreachable" | "no-route" => 3,
            _ => 4,
        }
    }
}

impl From<&DialError> for AttemptError {
    fn from(error: &DialError) -> Self {
        Self::new(error.stage, &error.cause, true)
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ({})", self.code, self.stage, self.text)
    }
}
