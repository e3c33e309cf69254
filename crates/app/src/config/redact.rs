//! What of a configured value may be shown: never a password, a token, a share link or the path of a subscription.

use toml::Value;
use url::Url;

/// Stands where a secret is.
pub(super) const HIDDEN: &str = "…";
/// The same in URLs, which must still read as such.
const HIDDEN_IN_URL: &str = "hidden";
/// Keys whose values are secret as a whole.
const SECRET_KEYS: [&str; 5] = ["token", "password", "links", "headers", "users"];
/// The longest part of a wrong value that is shown, in characters.
const MOST_SHOWN: usize = 100;

/// Scheme and host of a source's URL: passwords and tokens stand in front of the host, in the path and in the query.
pub(super) fn source_url(template: &str) -> String {
    let (scheme, rest) = template.split_once("://").unwrap_or(("https", template));
    let plain = format!("https://{}", rest.replace(['{', '}'], ""));
    let Some(host) = Url::parse(&plain).ok().and_then(|url| host_and_port(&url)) else {
        return format!("{scheme}://{HIDDEN_IN_URL}/");
    };
    format!("{scheme}://{host}/{HIDDEN_IN_URL}")
}

fn host_and_port(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// A URL without its user, password and query.
pub(super) fn url(url: &Url) -> String {
    let mut shown = url.clone();
    if !shown.username().is_empty() || shown.password().is_some() {
        let _ = shown.set_password(None);
        let _ = shown.set_username(HIDDEN_IN_URL);
    }
    if shown.query().is_some() {
        shown.set_query(Some(HIDDEN_IN_URL));
    }
    shown.to_string()
}

/// The URL of a store: the file of SQLite, of others the kind alone.
pub(super) fn store_url(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let kind = text.split(':').next().unwrap_or_default();
    format!("{kind}:{HIDDEN}")
}

/// A value that is wrong, as far as it may be told. `key` is the last part of its path.
pub(super) fn wrong_value(key: &str, value: &Value) -> String {
    if SECRET_KEYS.contains(&key) {
        return match value {
            Value::String(text) => format!("a text of {} characters", text.chars().count()),
            value => format!("another type ({})", value.type_str()),
        };
    }
    match value {
        Value::String(text) => wrong_text(text),
        Value::Array(_) | Value::Table(_) => value.type_str().to_owned(),
        value => format!("{} {value}", value.type_str()),
    }
}

/// A text that is wrong; of one that may be a URL only the scheme.
pub(super) fn wrong_text(text: &str) -> String {
    if let Some((scheme, _)) = text.split_once("://") {
        let short: String = scheme.chars().filter(|c| !c.is_control()).take(20).collect();
        return format!("\"{short}://{HIDDEN}\"");
    }
    if text.contains('@') {
        return format!("a text of {} characters", text.chars().count());
    }
    let short: String = text.chars().take(MOST_SHOWN).collect();
    let more = if short.len() < text.len() { HIDDEN } else { "" };
    format!("{:?}", format!("{short}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_host_alone() {
        for (given, shown) in [
            ("https://user:pw@sub.example:8443/a/TOKEN?token=TOKEN#x", "https://sub.example:8443/hidden"),
            ("ssconf://sub.example/TOKEN", "ssconf://sub.example/hidden"),
            ("https://sub.example/{Ymd}/TOKEN", "https://sub.example/hidden"),
            ("https://user:p/w@sub.example/", "https://hidden/"),
            ("TOKEN", "https://token/hidden"),
        ] {
            // The last is no URL, and a configuration never holds it.
            assert_eq!(source_url(given), shown);
        }
    }

    #[test]
    fn wrong_values_tell_no_secret() {
        for text in ["https://a:SECRET@h/?t=SECRET", "ht!tp://SECRET", "a:SECRET@h"] {
            assert!(!wrong_text(text).contains("SECRET"), "{}", wrong_text(text));
        }
        for key in SECRET_KEYS {
            for value in
                [Value::String("SECRET".into()), Value::Array(vec!["SECRET".into()]), Value::Integer(5_432_100)]
            {
                let told = wrong_value(key, &value);
                assert!(!told.contains("SECRET") && !told.contains("5432100"), "{told}");
            }
        }
        assert_eq!(wrong_value("attempts", &Value::Integer(0)), "integer 0");
        assert_eq!(wrong_text(&"a".repeat(1000)).len(), 105);
        let url = Url::parse("https://u:SECRET@h/p?k=SECRET").unwrap();
        assert_eq!(super::url(&url), "https://hidden@h/p?hidden");
        assert_eq!(store_url("postgres://u:SECRET@h/db"), "postgres:…");
    }
}
