//! Headers that end at a proxy (RFC 9110 §7.6.1).

use http::{
    HeaderMap, HeaderName,
    header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

/// Ends at the proxy whether `Connection` names it or not.
const HOP_BY_HOP: [HeaderName; 6] =
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")];

/// Removes what is not for the next hop, and everything that begins with `Proxy-`: of a request it was for us, and in an answer only we
/// say such things (`Proxy-Status`, `Proxy-Authenticate`, …), never a node or a target.
pub(crate) fn strip(headers: &mut HeaderMap) {
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

/// The names in `Connection`. The head that holds them is bounded.
pub(crate) fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}
