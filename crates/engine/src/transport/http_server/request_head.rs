//! What the servers of all transports ask of a request's head.

use http::{HeaderMap, HeaderName, Request, header, uri::Authority};

/// A header's value, if it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// Whether a request is for this host, whatever its port.
pub(crate) fn is_for_host(request: &Request<()>, host: &str) -> bool {
    let given = request.uri().authority().map(Authority::as_str);
    let given = given.or_else(|| text(request.headers(), &header::HOST)).unwrap_or_default();
    let name = given.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    given.eq_ignore_ascii_case(host) || name.is_some_and(|(name, _)| name.eq_ignore_ascii_case(host))
}
