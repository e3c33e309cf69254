//! Reads and writes the HTTP headers of a transport; Host is kept apart.

use super::{MapBuilder, Tree};

/// Names and values in their order.
pub(crate) type Headers = Vec<(Box<str>, Box<str>)>;

/// The values of Host, and every other header; a header with several values is repeated.
pub(crate) fn split(headers: &Tree) -> (Vec<Box<str>>, Headers) {
    let (mut hosts, mut others) = (Vec::new(), Headers::new());
    for (name, value) in headers.pairs() {
        if name.eq_ignore_ascii_case("host") {
            hosts.extend(value.texts());
        } else {
            others.extend(value.texts().into_iter().map(|value| (name.clone(), value)));
        }
    }
    (hosts, others)
}

/// The map of a Host and other headers.
pub(crate) fn join(host: Option<&str>, others: &[(Box<str>, Box<str>)]) -> MapBuilder {
    let mut map = MapBuilder::default();
    map.text("Host", host.unwrap_or_default());
    for (name, value) in others {
        map.text(name, value);
    }
    map
}
