//! Compares entity tags, so that an answer which a client has is not sent again.

use axum::http::{HeaderMap, header};

/// Whether a client already has the answer with this tag (`If-None-Match`, RFC 9110, section 13.1.2). Tags are compared weakly: a
/// server in front that compresses answers makes their tags weak.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others_and_whether_weak_or_not() {
        let known = |value: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]);
            is_known(&headers, "\"abc\"")
        };
        for value in ["\"abc\"", "W/\"abc\"", "\"x\", W/\"abc\""] {
            assert!(known(value), "{value}");
        }
        for value in ["abc", "\"ab\"", "\"abcd\"", "", "W/"] {
            assert!(!known(value), "{value}");
        }
        assert!(!is_known(&HeaderMap::new(), "\"abc\""));
    }
}
