//! The page docs/settings.md: every key with its default, its range and its meaning.

use super::{
    ObjectKind,
    described::{Described, SECTIONS, alert_keys, described, keys_of},
};

const HEAD: &str = "\
# Settings

Every key of `hezar.toml`, made from the descriptions in the source (a test keeps this page in step). Each key of a section can also be set from the
environment: `proxy.listen` is `HEZAR_PROXY_LISTEN`, and `HEZAR_PROXY_LISTEN_FILE` names a file that holds the value. Durations are written as `\"30s\"` or `\"1h30m\"`, sizes as `\"32MiB\"`.

`data` names the folder of the store and of the API token; a relative path starts at the folder of the file.
";

/// The tables of which there may be many.
const OBJECTS: [(ObjectKind, &str, &str); 4] = [
    (
        ObjectKind::User,
        "proxy.users",
        "Somebody who may use the proxy. A listener may have users of its own (`[[listener.users]]`).",
    ),
    (ObjectKind::Listener, "listener", "A further address over a part of the pool."),
    (
        ObjectKind::Source,
        "source",
        "One source of nodes; it is one of `url`, `file`, `github`, `telegram`, `links`, `tor` and `hezar`.",
    ),
    (
        ObjectKind::Subscription,
        "subscription",
        "An address at which clients read the nodes that work: docs/subscriptions.md.",
    ),
];

/// What `[[alert]]` is.
const ALERT: &str = "Whom this instance tells of its own troubles, by one of `webhook`, `ntfy` and `telegram`: docs/alerts.md. Alerts stand in the file alone.";

/// The text of docs/settings.md.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    let all = described();
    for (section, about) in SECTIONS {
        text.push_str(&format!("\n## `[{section}]`\n"));
        if !about.is_empty() {
            text.push_str(&format!("\n{}.\n", capital(about)));
        }
        text.push_str(&table(all.iter().filter(|key| key.section == section)));
    }
    for (kind, table_name, about) in OBJECTS {
        text.push_str(&format!("\n## `[[{table_name}]]`\n\n{about}\n"));
        text.push_str(&table(keys_of(kind).iter()));
    }
    text.push_str(&format!("\n## `[[alert]]`\n\n{ALERT}\n"));
    text.push_str(&table(alert_keys().iter()));
    text
}

fn table<'k>(keys: impl Iterator<Item = &'k Described>) -> String {
    let mut text = "\n| key | default | allowed | meaning |\n|---|---|---|---|\n".to_owned();
    for key in keys {
        let default = key.default.as_ref().map(|default| format!("`{default}`")).unwrap_or_default();
        let meaning: Vec<String> = key.doc.iter().map(|line| capital(line)).collect();
        text.push_str(&format!("| `{}` | {default} | {} | {} |\n", key.key, key.expected, meaning.join(" ")));
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}
