//! Translates the errors of QUIC connections and streams into causes.

use quinn::{ConnectError, Connection, ConnectionError, ReadError, TransportErrorCode, WriteError};

use crate::Cause;

/// The cause behind a connection's end.
pub(crate) fn cause_of(error: &ConnectionError) -> Cause {
    match error {
        ConnectionError::TimedOut => Cause::Timeout,
        ConnectionError::Reset => Cause::Reset,
        ConnectionError::VersionMismatch => Cause::Protocol("the server speaks another version of QUIC"),
        ConnectionError::CidsExhausted => Cause::ServerFailure("it gives out no more connection ids"),
        ConnectionError::LocallyClosed | ConnectionError::ApplicationClosed(_) => Cause::Closed,
        ConnectionError::TransportError(ours) => match alert(ours.code) {
            // The alerts of rustls for a rejected certificate (RFC 8446 §6.2): bad, unsupported, revoked, expired, unknown,
            // unknown authority, access denied.
            Some(42..=46 | 48 | 49) => Cause::Certificate(ours.reason.as_str().into()),
            Some(_) => Cause::Tls(ours.reason.as_str().into()),
            None => Cause::Protocol("the server breaks the rules of QUIC"),
        },
        ConnectionError::ConnectionClosed(theirs) => match alert(theirs.error_code) {
            Some(_) => Cause::Tls(theirs.to_string().into()),
            None if theirs.error_code == TransportErrorCode::CONNECTION_REFUSED => Cause::Refused,
            None => Cause::Closed,
        },
    }
}

/// The cause for which a connection has ended, or that it is closed.
pub(crate) fn cause_of_end(connection: &Connection) -> Cause {
    connection.close_reason().map_or(Cause::Closed, |reason| cause_of(&reason))
}

/// The TLS alert inside a QUIC error code (RFC 9001 §4.8).
fn alert(code: TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    (code & !0xff == 0x100).then_some((code & 0xff) as u8)
}

/// Why a connection could not be started.
pub(super) fn cause_of_connect(error: &ConnectError) -> Cause {
    match error {
        ConnectError::InvalidRemoteAddress(_) => Cause::Unreachable,
        ConnectError::InvalidServerName(_) => Cause::Tls("the server's name cannot be asked for".into()),
        other => Cause::Tls(other.to_string().into()),
    }
}

/// Why a stream gives no more bytes.
pub(crate) fn cause_of_read(error: &ReadError) -> Cause {
    match error {
        ReadError::ConnectionLost(lost) => cause_of(lost),
        ReadError::Reset(_) => Cause::Reset,
        _ => Cause::Closed,
    }
}

/// Why a stream takes no more bytes.
pub(crate) fn cause_of_write(error: &WriteError) -> Cause {
    match error {
        WriteError::ConnectionLost(lost) => cause_of(lost),
        WriteError::Stopped(_) => Cause::Reset,
        _ => Cause::Closed,
    }
}
