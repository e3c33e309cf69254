//! Mistakes that would otherwise be found late or never: at the first fetch, at the first login, or in a silent log.

use super::{problems, read};

#[test]
fn a_log_level_that_is_none_is_refused() {
    for level in ["loud", "information", "info,verbose", ""] {
        let found = problems(&format!("[log]\nlevel = \"{level}\""));
        assert!(found[0].contains("log.level: expected error, warn, info, debug, trace"), "{level:?}: {found:?}");
    }
    for level in ["info", "WARN", "off", "hezar_probe=debug,info", "info,hezar_pool=trace", "hezar_probe"] {
        read(&format!("[log]\nlevel = \"{level}\"")).unwrap_or_else(|problems| panic!("{level:?}: {problems}"));
    }
}

#[test]
fn pages_of_the_prober_are_read_over_http() {
    for key in ["trace_url", "canary_text = \"x\"\ncanary_url"] {
        let found = problems(&format!("[probe]\n{key} = \"ftp://a.test/x\""));
        assert!(found.iter().any(|problem| problem.contains("expected an http or https URL")), "{found:?}");
    }
}

#[test]
fn of_two_users_with_one_name_one_could_never_log_in() {
    let users = "users = [{ name = \"a\", password = \"x\" }, { name = \"a\", password = \"y\" }]\n";
    let listener = format!("[[listener]]\nname = \"l\"\nlisten = \"127.0.0.1:1\"\n{users}");
    for text in [format!("[proxy]\n{users}"), listener] {
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].ends_with("users: two users are named \"a\""), "{found:?}");
    }
}

#[test]
fn a_source_says_one_place_and_headers_that_can_be_sent() {
    let one = |keys: &str| problems(&format!("[[source]]\nname = \"s\"\n{keys}"));
    assert!(one("")[0].contains("a source needs one of url, file, github, telegram, links"));
    assert!(one("file = \"f\"\ngithub = \"a/b\"")[0].contains("this one has file and github"));
    for headers in ["{ \"bad name\" = \"x\" }", "{ Authorization = \"Bearer secret\\n\" }"] {
        let found = one(&format!("url = \"https://a.test/\"\nheaders = {headers}"));
        assert!(found.len() == 1 && found[0].contains("cannot be sent as a header"), "{found:?}");
        assert!(!found[0].contains("secret"), "{found:?}");
    }
    for reserved in ["manual", "manual-private"] {
        let found = problems(&format!("[[source]]\nname = \"{reserved}\"\nlinks = []"));
        assert!(found.len() == 1 && found[0].contains("nodes added by hand"), "{found:?}");
    }
}

#[test]
fn a_channel_is_known_by_its_address_too() {
    for name in
        ["my_channel", "@my_channel", "https://t.me/my_channel", "https://t.me/s/my_channel/", "t.me/my_channel"]
    {
        let config = read(&format!("[[source]]\nname = \"s\"\ntelegram = \"{name}\"")).unwrap();
        assert!(config.show().contains("telegram = \"my_channel\""), "{name}: {}", config.show());
    }
    assert_eq!(problems("[[source]]\nname = \"s\"\ntelegram = \"https://t.me/+invitation\"").len(), 1);
}

#[test]
fn a_user_has_one_password_and_what_it_may_is_read_with_places() {
    const HASH: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let config = read(&format!(
        "[[proxy.users]]\nname = \"a\"\npassword_hash = \"{HASH}\"\nenabled = false\nexpires = 2027-01-02\n\
         quota = {{ day = \"1GiB\", total = 2097152 }}\ncountries = [\"de\"]\nlisteners = [\"proxy\"]\nnote = \"n\"\n\
         options = \"country-de\"\nconnections = 3\nallow_ports = [80, \"8000-8100\"]\ndeny_hosts = [\".a.test\"]",
    ))
    .unwrap();
    let user = &config.proxy.users[0];
    assert!(!user.enabled && user.password.is_none() && user.limits.connections == Some(3));
    assert_eq!(user.expires.unwrap().0, 1_798_848_000_000);
    assert_eq!((user.quota.day.unwrap().0, user.quota.month, user.quota.total.unwrap().0), (1 << 30, None, 2 << 20));
    let shown = config.show();
    assert!(shown.contains("expires = \"2027-01-02T00:00:00Z\"") && !shown.contains("argon2id"), "{shown}");
    let readable = shown.replacen("password_hash = \"…\"", &format!("password_hash = \"{HASH}\""), 1);
    assert_eq!(read(&readable).unwrap().show(), shown);
    let of = |keys: &str| problems(&format!("[[proxy.users]]\nname = \"a\"\n{keys}"));
    assert_eq!(of("").len(), 1);
    assert!(of(&format!("password = \"p\"\npassword_hash = \"{HASH}\""))[0].contains("and not both"));
    for (keys, place) in [
        ("expires = \"soon\"", "proxy.users[0].expires: expected a date such as"),
        ("quota = { day = 1 }", "proxy.users[0].quota.day: expected a size from 1048576"),
        ("quota = { week = 1 }", "proxy.users[0].quota.week: unknown key"),
        ("countries = [\"deu\"]", "proxy.users[0].countries: expected a list of countries"),
        ("options = \"contry-de\"", "proxy.users[0].options: "),
        ("allow_ports = [0]", "proxy.users[0].allow_ports: expected a list of ports"),
        ("deny_hosts = [\"10.0.0.0/33\"]", "proxy.users[0].deny_hosts: expected a list of hosts"),
        ("allow_private_targets = 1", "proxy.users[0].allow_private_targets: expected true or false"),
        ("connections = 0", "proxy.users[0].connections: expected a whole number"),
    ] {
        let found = of(&format!("password = \"p\"\n{keys}"));
        assert!(found.len() == 1 && found[0].starts_with(place), "{keys}: {found:?}");
    }
}
