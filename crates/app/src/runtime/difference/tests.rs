//! What differs between two configurations, and whether it can be applied while an instance runs.

use super::*;
use crate::config::Layers;

fn read(text: &str) -> Config {
    Config::read(text, None, &Layers::default()).unwrap()
}

fn between(old: &str, new: &str) -> Difference {
    Difference::between(&read(old), &read(new))
}

#[test]
fn equal_configurations_do_not_differ() {
    let text =
        "[proxy]\nusers = [{ name = \"a\", password = \"b\" }]\n[[source]]\nname = \"s\"\nlinks = [\"ss://x\"]\n";
    assert_eq!(between(text, text), Difference::default());
}

#[test]
fn settings_are_named_by_their_keys_and_secrets_are_compared() {
    let found = between(
        "",
        "[proxy]\nattempts = 3\nusers = [{ name = \"a\", password = \"b\" }]\n[pool]\nmax_nodes = 5\n\
         [probe]\ninterval = \"9s\"\ndead_after = 5\ncanary_url = \"\"\n[fetch]\ntimeout = \"1s\"\n",
    );
    let expected = [
        "proxy.attempts",
        "proxy.users",
        "pool.max_nodes",
        "probe.interval",
        "probe.dead_after",
        "probe.canary_url",
        "fetch.timeout",
    ];
    assert_eq!(found.changed, expected);
    assert!(found.restart.is_empty() && found.probe && found.fetch && found.sources);
    let password = |password: &str| format!("proxy.users = [{{ name = \"a\", password = \"{password}\" }}]");
    assert_eq!(between(&password("b"), &password("c")).changed, ["proxy.users"]);
}

#[test]
fn what_needs_a_restart_is_named() {
    let found = between(
        "",
        "data = \"elsewhere\"\n[store]\nurl = \"sqlite:other.db\"\n[api]\nlisten = 9\n[log]\nlevel = \"debug\"\n[proxy]\nmax_sessions = 7\n",
    );
    assert_eq!(found.restart, ["data", "store.url"]);
    assert_eq!(found.changed, ["proxy.max_sessions", "api.listen", "log.level"]);
    assert!(found.api && found.log && !found.geo && !found.probe && !found.sources, "{found:?}");
}

#[test]
fn sources_and_listeners_are_told_by_name() {
    let source = |name: &str, more: &str| format!("[[source]]\nname = \"{name}\"\n{more}\n");
    let listener =
        |name: &str, port: u16, more: &str| format!("[[listener]]\nname = \"{name}\"\nlisten = {port}\n{more}\n");
    let url = "url = \"https://a.test/\"";
    let old = [
        source("same", url),
        source("gone", url),
        source("off", url),
        source("other", url),
        listener("same", 1, ""),
        listener("gone", 2, ""),
        listener("moved", 3, ""),
        listener("other", 4, ""),
    ];
    let new = [
        source("same", url),
        source("off", &format!("{url}\nenabled = false")),
        source("other", "url = \"https://b.test/\""),
        source("new", url),
        listener("same", 1, ""),
        listener("moved", 5, ""),
        listener("other", 4, "top = 3"),
        listener("new", 6, ""),
    ];
    let found = between(&old.concat(), &new.concat());
    let expected = [
        "source \"gone\" removed",
        "source \"off\" paused",
        "source \"other\" changed",
        "source \"new\" added",
        "listener \"gone\" removed",
        "listener \"moved\" moved",
        "listener \"other\" changed",
        "listener \"new\" added",
    ];
    assert_eq!(found.changed, expected);
    assert!(found.sources && !found.probe && !found.fetch);
}
