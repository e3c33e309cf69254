//! `Proxy-Status` (RFC 9209): the code of a refusal, or the node and the exit that served a request.
//!
//! ```text
//!   hezar; error=destination_unavailable; details="pool-empty"
//!   hezar; node="5f0c…"; exit="203.0.113.7"; country="DE"; session="00c0ffee00c0ffee"
//! ```
//! `node`, `exit`, `country` and `session` are parameters of ours; who does not know them passes over them (RFC 9209 §2.1).
//! `node` and `session` are the ids that the API's feedback takes.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::{X_EXIT, X_NODE, X_SESSION};
use crate::{Refusal, SessionNameRef, access::Identity, context::Context, failover::NodeLease};

pub(super) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// How this proxy calls itself.
const NAME: &str = "hezar";

/// The value for a request that is refused.
pub(super) fn refused(refusal: &Refusal) -> String {
    let mut value = format!("{NAME}; error={}", refusal.proxy_error());
    parameter(&mut value, "details", refusal.code());
    value
}

/// The value for a request that a node serves; `None` when the listener does not name exits.
fn served(context: &Context, identity: &Identity, lease: &NodeLease) -> Option<HeaderValue> {
    if !context.config().name_exit {
        return None;
    }
    let mut value = NAME.to_owned();
    parameter(&mut value, "node", &lease.id().to_string());
    let record = lease.record();
    if let Some(ip) = record.exit_ip {
        parameter(&mut value, "exit", &ip.to_string());
    }
    if let Some([first, second]) = record.country {
        parameter(&mut value, "country", &String::from_iter([char::from(first), char::from(second)]));
    }
    if let Some(session) = session_id(context, identity) {
        parameter(&mut value, "session", &session);
    }
    HeaderValue::try_from(value).ok()
}

/// Everything that an answer says of the node that serves it, as far as the listener lets it.
pub(super) fn name_exit(headers: &mut HeaderMap, context: &Context, identity: &Identity, lease: &NodeLease) {
    headers.extend(served(context, identity, lease).map(|named| (PROXY_STATUS, named)));
    if !context.config().exit_headers {
        return;
    }
    let mut name = |header, value: Option<String>| {
        headers.extend(value.and_then(|value| HeaderValue::try_from(value).ok()).map(|value| (header, value)));
    };
    name(X_EXIT, lease.record().exit_ip.map(|ip| ip.to_string()));
    name(X_NODE, Some(lease.id().to_string()));
    name(X_SESSION, session_id(context, identity));
}

/// The number under which the API knows the session.
fn session_id(context: &Context, identity: &Identity) -> Option<String> {
    let session = identity.options.session.as_deref()?;
    let names = SessionNameRef { listener: context.telemetry.listener(), user: &identity.user, session };
    Some(names.id().to_string())
}

/// Appends a parameter whose value is a String (RFC 9651 §3.3.3); what a String cannot hold becomes `?`.
fn parameter(to: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = write!(to, "; {name}=\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => to.extend(['\\', character]),
            ' '..='~' => to.push(character),
            _ => to.push('?'),
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        let mut value = String::new();
        parameter(&mut value, "a", "b \"c\\ é\n");
        assert_eq!(value, "; a=\"b \\\"c\\\\ ??\"");
        assert_eq!(
            refused(&Refusal::PoolEmpty { why: None }),
            "hezar; error=destination_unavailable; details=\"pool-empty\""
        );
    }
}
