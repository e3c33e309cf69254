//! What a person writes in the place of keys: an assignment, or the place of a source.

use serde_json::{Value, json};
use url::Url;

/// Whether an argument is `KEY=VALUE`; a web address is none, whatever stands in its query.
pub(super) fn is_assignment(argument: &str) -> bool {
    argument.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
    })
}

/// The key of a source and its value, guessed from what a person calls the place.
pub(in crate::commands) fn place_of(place: &str) -> (&'static str, Value) {
    let Ok(url) = Url::parse(place) else {
        let key = if place.starts_with('@') { "telegram" } else { "file" };
        return (key, place.into());
    };
    let segments = url.path_segments().map(Iterator::count).unwrap_or_default();
    match (url.scheme(), url.host_str().unwrap_or_default().trim_start_matches("www.")) {
        ("http" | "https", "t.me" | "telegram.me") => ("telegram", place.into()),
        ("http" | "https", "github.com") if segments == 2 => ("github", place.into()),
        ("http" | "https" | "ssconf", _) => ("url", place.into()),
        _ => ("links", json!([place])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_an_assignment() {
        for (argument, expected) in [
            ("url=https://a.test/?x=1", true),
            ("quota.day=1GiB", true),
            ("note=", true),
            ("https://a.test/?token=x", false),
            ("nodes.txt", false),
            ("=x", false),
            ("A=x", false),
        ] {
            assert_eq!(is_assignment(argument), expected, "{argument}");
        }
    }

    #[test]
    fn a_place_is_known_by_its_form() {
        for (place, key) in [
            ("https://sub.example/a?token=x", "url"),
            ("ssconf://sub.example/a", "url"),
            ("https://t.me/s/channel", "telegram"),
            ("@channel", "telegram"),
            ("https://github.com/me/list", "github"),
            ("https://github.com/me/list/raw/main/x.txt", "url"),
            ("nodes/*.txt", "file"),
            ("ss://secret@h:1", "links"),
        ] {
            assert_eq!(place_of(place).0, key, "{place}");
        }
    }
}
