//! `Proxy-Status` (RFC 9209): the code of a refusal, or the node and the exit that served a request.
//!
//! ```text
//!   hezar; error=destination_unavailable; details="pool-empty"
//!   hezar; node="5f0c…"; exit="203.0.113.7"; country="DE"; session="00c0ffee00c0ffee"
//! ```
//! `node`, `exit`, `country` and `session` are parameters of ours; who does not know them passes over them (RFC 9209 §2.1).
//! `node` and `session` are the ids that the API's feedback takes.

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};

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
pub(super) fn served(context: &Context, identity: &Identity, lease: &NodeLease) -> Option<HeaderValue> {
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
    if let Some(session) = &identity.options.session {
        let names = SessionNameRef { listener: context.telemetry.listener(), user: &identity.user, session };
        parameter(&mut value, "session", &names.id().to_string());
    }
    HeaderValue::try_from(value).ok()
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
