//! Headers that end at a proxy (RFC 9110 §7.6.1), and those that ask for another protocol.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

/// Ends at the proxy whether `Connection` names it or not.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
];

/// The most names that a `Connection` header is believed to list.
const MAX_NAMED: usize = 32;

/// The protocol that the message asks to switch to, when `Connection` confirms it.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    named_by_connection(headers).any(|name| name == UPGRADE).then(|| headers.get(UPGRADE).cloned()).flatten()
}

/// Removes what is not for the next hop. Of a request also everything that begins with `Proxy-`: it was for us.
pub(super) fn strip(headers: &mut HeaderMap, request: bool) {
    let named: Vec<HeaderName> = named_by_connection(headers).take(MAX_NAMED).collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    if request {
        let ours: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with("proxy-")).cloned().collect();
        for name in ours {
            headers.remove(name);
        }
    }
}

/// Puts back the request (or the confirmation) to switch protocols.
pub(super) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
}
