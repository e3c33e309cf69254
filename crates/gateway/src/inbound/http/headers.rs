//! Headers that end at a proxy (RFC 9110 §7.6.1), and those that ask for another protocol.

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use hyper::ext::ReasonPhrase;

/// Ends at the proxy whether `Connection` names it or not.
const HOP_BY_HOP: [HeaderName; 6] =
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")];

/// The headers by which this proxy names the exit, the node and the session of an answer.
pub(super) const X_EXIT: HeaderName = HeaderName::from_static("x-hezar-exit");
pub(super) const X_NODE: HeaderName = HeaderName::from_static("x-hezar-node");
pub(super) const X_SESSION: HeaderName = HeaderName::from_static("x-hezar-session");
const EXIT_HEADERS: [HeaderName; 3] = [X_EXIT, X_NODE, X_SESSION];

/// The protocol that the message asks to switch to, when `Connection` confirms it.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    named_by_connection(headers).any(|name| name == UPGRADE).then(|| headers.get(UPGRADE).cloned()).flatten()
}

/// Removes what is not for the next hop, and everything that begins with `Proxy-`: of a request it was for us, and in an answer only we
/// say such things (`Proxy-Status`, `Proxy-Authenticate`, …), never a node or a target.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = named_by_connection(headers).collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    let of_proxies: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("proxy-")).cloned().collect();
    for name in of_proxies {
        headers.remove(name);
    }
}

/// Removes what only this proxy says of the exit that serves a request.
pub(super) fn strip_exit(headers: &mut HeaderMap) {
    for name in EXIT_HEADERS {
        headers.remove(name);
    }
}

/// What a node or a target says beside the headers: hyper's own notes stay behind, and so does a reason that names us.
pub(super) fn foreign_extensions(extensions: &mut Extensions) {
    let reason = extensions.remove::<ReasonPhrase>();
    extensions.clear();
    let is_ours =
        |reason: &ReasonPhrase| reason.as_bytes().to_ascii_lowercase().windows(5).any(|part| part == b"hezar");
    if let Some(reason) = reason.filter(|reason| !is_ours(reason)) {
        extensions.insert(reason);
    }
}

/// Puts back the request (or the confirmation) to switch protocols.
pub(super) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// The names in `Connection`. The head that holds them is bounded.
fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}
