//! What of a configured value may be shown: never a password, a token, a share link or the path of a subscription.

use hezar_core::settings::quote;
use toml::Value;
use url::Url;

/// Stands where a secret is.
pub(super) const HIDDEN: &str = "…";
/// The same in URLs, which must still read as such.
const HIDDEN_IN_URL: &str = "hidden";
/// The most members of a wrong list that are shown.
const MOST_MEMBERS: usize = 5;
/// Keys whose values are secret as a whole.
const SECRET_KEYS: [&str; 13] = [
    "token",
    "password",
    "links",
    "headers",
    "users",
    "webhook",
    "ntfy",
    "bearer",
    "telegram",
    "key",
    "uuid",
    "private_key",
    "obfs_password",
];

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

/// A value that is wrong, as far as it may be told. `key` is the last part of its path.
pub(super) fn wrong_value(key: &str, value: &Value) -> String {
    if SECRET_KEYS.contains(&key) {
        return match value {
            Value::String(text) => format!("a text of {} characters", text.chars().count()),
            value => format!("another type ({})", value.type_str()),
        };
    }
    match value {
        Value::Array(values) => list(values),
        value => single(value),
    }
}

/// The first members of a list; one of them is what is wrong.
fn list(values: &[Value]) -> String {
    let shown: Vec<String> = values.iter().take(MOST_MEMBERS).map(single).collect();
    let more = if values.len() > MOST_MEMBERS { ", …" } else { "" };
    format!("[{}{more}]", shown.join(", "))
}

fn single(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(_) | Value::Table(_) => value.type_str().to_owned(),
        value => format!("{} {value}", value.type_str()),
    }
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
            assert!(!quote(text).contains("SECRET"), "{}", quote(text));
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
        let members: Vec<Value> = vec!["Germany".into(), "https://SECRET".into(), Value::Integer(7)];
        assert_eq!(wrong_value("tor_exits", &Value::Array(members)), r#"["Germany", "https://…", integer 7]"#);
        let many = wrong_value("tor_exits", &Value::Array(vec![Value::Boolean(true); 1000]));
        assert!(many.ends_with(", …]") && many.len() < 100, "{many}");
        assert_eq!(quote(&"a".repeat(1000)).len(), 105);
    }
}
