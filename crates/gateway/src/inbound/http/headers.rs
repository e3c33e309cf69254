//! Headers that only this proxy may say, and those that ask for another protocol.

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, UPGRADE},
};
use hyper::ext::ReasonPhrase;

use crate::hop_by_hop::named_by_connection;
pub(super) use crate::hop_by_hop::strip;

/// The headers by which this proxy names the exit, the node and the session of an answer.
pub(super) const X_EXIT: HeaderName = HeaderName::from_static("x-hezar-exit");
pub(super) const X_NODE: HeaderName = HeaderName::from_static("x-hezar-node");
pub(super) const X_SESSION: HeaderName = HeaderName::from_static("x-hezar-session");
const EXIT_HEADERS: [HeaderName; 3] = [X_EXIT, X_NODE, X_SESSION];

/// The protocol that the message asks to switch to, when `Connection` confirms it.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    named_by_connection(headers).any(|name| name == UPGRADE).then(|| headers.get(UPGRADE).cloned()).flatten()
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
