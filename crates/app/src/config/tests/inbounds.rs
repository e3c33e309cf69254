//! Encrypted listeners and the keys of users: what fits together, and what somebody is told when it does not.

use hezar_gateway::{InboundProtocol, LinkSession, RealitySite};

use super::{problems, read};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const TLS: &str = "tls.acme = [\"vps.example.org\"]\n";

fn listener(kind: &str, rest: &str) -> String {
    format!("[[listener]]\nname = \"l\"\nkind = \"{kind}\"\nlisten = \"192.0.2.7:443\"\n{rest}")
}

/// The only problem of a listener, which must stand at this key.
fn only_problem(kind: &str, rest: &str, key: &str) -> String {
    let found = problems(&listener(kind, rest));
    assert_eq!(found.len(), 1, "{kind} {rest}: {found:?}");
    assert!(found[0].starts_with(&format!("listener[0].{key}: ")), "{kind} {rest}: {found:?}");
    found[0].clone()
}

#[test]
fn what_fits_together_is_read() {
    let reality = format!("reality = {{ private_key = \"{KEY}\", server_names = [\"www.example.com\"]");
    for (kind, rest) in [
        ("trojan", TLS.to_owned()),
        ("anytls", format!("{TLS}fallback.address = \"127.0.0.1:8088\"\n")),
        (
            "hysteria2",
            format!("{TLS}hysteria2 = {{ obfs_password = \"long\", up_mbps = 100 }}\nfallback.folder = \"site\"\n"),
        ),
        ("vless", TLS.to_owned()),
        ("vless", format!("{TLS}transport = {{ kind = \"websocket\", path = \"/x\" }}\n")),
        ("vless", format!("{TLS}transport = {{ kind = \"grpc\", path = \"service\" }}\n")),
        ("vless", format!("{TLS}transport = {{ kind = \"xhttp\", path = \"/x\", mode = \"packet-up\" }}\n")),
        ("vless", format!("{reality}, site = \"www.example.com:443\" }}\n")),
        ("vless", format!("{TLS}{reality} }}\n")),
        ("shadowsocks", "shadowsocks.key = \"AAECAwQFBgcICQoLDA0ODw==\"\n".to_owned()),
        ("shadowsocks", "shadowsocks.method = \"aes-256-gcm\"\n".to_owned()),
        ("mixed", "users = [{ name = \"a\", password = \"p\" }]\n".to_owned()),
    ] {
        let config = read(&listener(kind, &rest)).unwrap_or_else(|problems| panic!("{kind} {rest}: {problems}"));
        let inbound = config.listeners[0].inbound.as_ref();
        assert_eq!(inbound.map_or("mixed", |inbound| inbound.protocol.kind().name()), kind);
    }
    let plain = "[[listener]]\nname = \"l\"\nkind = \"vless\"\nlisten = \"127.0.0.1:1\"\ninsecure_plain = true\n";
    assert!(read(plain).is_ok());
}

#[test]
fn what_does_not_fit_together_is_told_at_its_place() {
    let reality =
        |rest: &str| format!("reality = {{ private_key = \"{KEY}\", server_names = [\"www.example.com\"]{rest} }}\n");
    let foreign = reality(", site = \"www.example.com:443\"");
    for (kind, rest, key, told) in [
        ("trojan", String::new(), "tls", "trojan needs TLS"),
        ("anytls", String::new(), "tls", "anytls needs TLS"),
        ("hysteria2", String::new(), "tls", "hysteria2 needs TLS"),
        ("vless", String::new(), "tls", "vless needs TLS"),
        ("vless", "insecure_plain = true\n".to_owned(), "insecure_plain", "loopback only"),
        ("vless", format!("{TLS}insecure_plain = true\n"), "insecure_plain", "this one has TLS"),
        ("vless", format!("{TLS}{foreign}"), "tls", "site = \"self\" only"),
        ("vless", reality(""), "tls", "site = \"self\" needs"),
        (
            "vless",
            format!("{TLS}reality = {{ server_names = [\"a.example\"] }}\n"),
            "reality.private_key",
            "hezar key reality",
        ),
        (
            "vless",
            format!("reality = {{ private_key = \"{KEY}\", site = \"192.0.2.1:443\" }}\n"),
            "reality.server_names",
            "names that clients ask for",
        ),
        (
            "vless",
            format!("{TLS}{}transport = {{ kind = \"websocket\", path = \"/x\" }}\n", reality("")),
            "reality",
            "tcp, grpc and xhttp",
        ),
        ("vless", format!("{TLS}transport.kind = \"websocket\"\n"), "transport.path", "begins with '/'"),
        (
            "vless",
            format!("{TLS}transport = {{ kind = \"xhttp\", path = \"/a?b\" }}\n"),
            "transport.path",
            "without '?'",
        ),
        ("vless", format!("{TLS}transport.kind = \"grpc\"\n"), "transport.path", "name of its service"),
        ("vless", format!("{TLS}transport.path = \"/x\"\n"), "transport.path", "tcp has no path"),
        (
            "vless",
            format!("{TLS}transport = {{ kind = \"grpc\", path = \"s\", mode = \"stream-up\" }}\n"),
            "transport.mode",
            "only xhttp",
        ),
        ("trojan", format!("{TLS}transport.kind = \"grpc\"\n"), "transport", "only listeners of the kind vless"),
        ("trojan", format!("{TLS}{}", reality("")), "reality", "only listeners of the kind vless"),
        (
            "trojan",
            format!("{TLS}fallback = {{ folder = \"a\", address = \"127.0.0.1:1\" }}\n"),
            "fallback.address",
            "not both",
        ),
        ("hysteria2", format!("{TLS}hysteria2.obfs_password = \"abc\"\n"), "hysteria2.obfs_password", "4 to 255"),
        ("hysteria2", format!("{TLS}proxy_protocol = [\"127.0.0.1\"]\n"), "proxy_protocol", "UDP"),
        ("trojan", format!("{TLS}open_to = [\"private\"]\n"), "open_to", "kind mixed"),
        ("trojan", format!("{TLS}exit_headers = true\n"), "exit_headers", "kind mixed"),
        ("trojan", format!("{TLS}host = \"a b\"\n"), "host", "host name or an address"),
        ("trojan", format!("{TLS}server_name = \"192.0.2.1\"\n"), "server_name", "host name"),
        ("shadowsocks", String::new(), "shadowsocks", "needs this table"),
        ("shadowsocks", "shadowsocks.key = \"AAEC\"\n".to_owned(), "shadowsocks.key", "hezar key shadowsocks"),
        (
            "shadowsocks",
            "shadowsocks = { method = \"2022-blake3-aes-256-gcm\", key = \"AAECAwQFBgcICQoLDA0ODw==\" }\n".to_owned(),
            "shadowsocks.key",
            "hezar key shadowsocks 2022-blake3-aes-256-gcm",
        ),
        (
            "shadowsocks",
            "shadowsocks = { method = \"aes-128-gcm\", key = \"AAEC\" }\n".to_owned(),
            "shadowsocks.key",
            "leave it out",
        ),
        ("shadowsocks", format!("shadowsocks.method = \"aes-128-gcm\"\n{TLS}"), "tls", "Shadowsocks has no TLS"),
        (
            "mixed",
            "users = [{ name = \"a\", password = \"p\" }]\nfallback.folder = \"a\"\n".to_owned(),
            "fallback",
            "this one is mixed",
        ),
    ] {
        let problem = only_problem(kind, &rest, key);
        assert!(problem.contains(told), "{problem}");
    }
    assert!(only_problem("socks", "users = [{ name = \"a\", password = \"p\" }]\n", "kind").contains("hysteria2"));
}

#[test]
fn names_of_reality_are_those_of_the_site_unless_others_are_given() {
    let text = listener("vless", &format!("{TLS}host = \"vps.example.org:8443\"\nreality.private_key = \"{KEY}\"\n"));
    let config = read(&text).unwrap();
    let inbound = config.listeners[0].inbound.as_ref().unwrap();
    let reality = inbound.reality.as_ref().unwrap();
    assert_eq!((&reality.site, &reality.server_names[..]), (&RealitySite::Own, &["vps.example.org".to_owned()][..]));
    assert!(matches!(inbound.protocol, InboundProtocol::Vless));
    let foreign =
        listener("vless", &format!("reality = {{ private_key = \"{KEY}\", site = \"www.example.com:443\" }}\n"));
    let config_of_foreign = read(&foreign).unwrap();
    let inbound = config_of_foreign.listeners[0].inbound.as_ref().unwrap();
    assert_eq!(inbound.reality.as_ref().unwrap().server_names, ["www.example.com"]);
    assert_eq!(
        crate::config::link_server(&config.listeners[0], config.listeners[0].listen).unwrap().to_string(),
        "vps.example.org:8443"
    );
}

#[test]
fn a_cipher_without_identities_takes_so_many_links_and_no_more() {
    let users = |count: usize| -> String {
        let user = |number| {
            format!(
                "[[proxy.users]]\nname = \"u{number}\"\nkey = \"{number:042}A\"\nlinks = [{{ name = \"second\" }}]\n"
            )
        };
        (0..count).map(user).collect()
    };
    let old = "shadowsocks.method = \"aes-128-gcm\"\n";
    assert!(read(&format!("{}{}", users(128), listener("shadowsocks", old))).is_ok());
    let found = problems(&format!("{}{}", users(129), listener("shadowsocks", old)));
    assert!(found.len() == 1 && found[0].contains("these have 258"), "{found:?}");
    let new = "shadowsocks.key = \"AAECAwQFBgcICQoLDA0ODw==\"\n";
    assert!(read(&format!("{}{}", users(129), listener("shadowsocks", new))).is_ok());
}

#[test]
fn users_have_keys_and_links() {
    let config = read(&format!(
        "[[proxy.users]]\nname = \"ali\"\nkey = \"{KEY}\"\nuuid = \"b831381d-6324-4d53-ad4f-8cda48b30811\"\n\
         [[proxy.users.links]]\nname = \"germany\"\noptions = \"country-de\"\nsession = \"client\"\n"
    ))
    .unwrap();
    let user = &config.proxy.users[0];
    assert!(user.has_key() && !user.has_password());
    assert_eq!((&*user.links[0].name, user.links[0].session), ("germany", LinkSession::Client));
    let with = |keys: &str| problems(&format!("[[proxy.users]]\nname = \"a\"\n{keys}"));
    for (keys, told) in [
        ("", "or a key"),
        ("key = \"short\"", "it is not 32 random bytes"),
        ("password = \"p\"\nuuid = \"x\"", "it is not a UUID"),
        ("password = \"p\"\nlinks = [{ name = \"\" }]", "a text of 1 to 32 bytes"),
        ("password = \"p\"\nlinks = [{ options = \"country-de\" }]", "a link needs a name"),
        ("password = \"p\"\nlinks = [{ name = \"a\" }, { name = \"a\" }]", "a link needs a name of its own"),
        (
            "password = \"p\"\nlinks = [{ name = \"a\", options = \"session-x\", session = \"link\" }]",
            "name a session already",
        ),
        ("password = \"p\"\nlinks = [{ name = \"a\", options = \"planet-mars\" }]", "unknown option"),
    ] {
        let found = with(keys);
        assert!(found.len() == 1 && found[0].contains(told), "{keys}: {found:?}");
    }
}

#[test]
fn no_two_users_have_the_same_credentials() {
    const UUID: &str = "b831381d-6324-4d53-ad4f-8cda48b30811";
    for (what, value) in [("key", KEY), ("uuid", UUID)] {
        let user = |name: &str| format!("[[proxy.users]]\nname = \"{name}\"\n{what} = \"{value}\"\n");
        let found = problems(&[user("ali"), user("sara")].concat());
        assert_eq!(found, [format!("proxy.users: \"sara\" has the same {what} as another user")]);
    }
    // A listener with users of its own knows those alone.
    let own = listener("trojan", &format!("{TLS}users = [{{ name = \"ali\", key = \"{KEY}\" }}]\n"));
    assert!(read(&format!("[[proxy.users]]\nname = \"ali\"\nkey = \"{KEY}\"\n{own}")).is_ok());
}

#[test]
fn what_keeps_a_listener_from_being_used_is_a_warning() {
    let warnings = |text: &str| read(text).unwrap().warnings;
    let trojan = listener("trojan", TLS);
    assert!(warnings(&trojan)[0].contains("no user has a key"));
    let user = format!("[[proxy.users]]\nname = \"ali\"\nkey = \"{KEY}\"\n");
    assert_eq!(warnings(&format!("{user}{trojan}")), Vec::<String>::new());
    let nowhere = format!(
        "{user}[[listener]]\nname = \"l\"\nkind = \"shadowsocks\"\nlisten = \"0.0.0.0:8388\"\nshadowsocks.method = \"aes-128-gcm\"\n"
    );
    assert!(warnings(&nowhere)[0].contains("say host"));
    let behind = format!(
        "{user}[[listener]]\nname = \"l\"\nkind = \"trojan\"\nlisten = \"127.0.0.1:2054\"\ninsecure_plain = true\n"
    );
    assert!(warnings(&behind)[0].contains("say host"));
}

#[test]
fn keys_of_listeners_and_users_are_never_shown() {
    let secrets = [KEY, "AAECAwQFBgcICQoLDA0ODw==", "obfuscated-secret", "b831381d-6324-4d53-ad4f-8cda48b30811"];
    let text = format!(
        "[[proxy.users]]\nname = \"ali\"\nkey = \"{KEY}\"\nuuid = \"{}\"\n\
         [[listener]]\nname = \"r\"\nkind = \"vless\"\nlisten = \"192.0.2.7:443\"\n{TLS}\
         reality = {{ private_key = \"{KEY}\", server_names = [\"www.example.com\"] }}\n\
         [[listener]]\nname = \"s\"\nkind = \"shadowsocks\"\nlisten = \"192.0.2.7:8388\"\nshadowsocks.key = \"{}\"\n\
         [[listener]]\nname = \"h\"\nkind = \"hysteria2\"\nlisten = \"192.0.2.7:443\"\n{TLS}hysteria2.obfs_password = \"{}\"\n",
        secrets[3], secrets[1], secrets[2]
    );
    let config = read(&text).unwrap();
    let told = format!("{} {:?} {:?}", config.show(), config.proxy.users, config.listeners);
    for secret in secrets {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(config.show().contains("short_ids = [\"\"]"), "what is no secret is shown: {}", config.show());
    for wrong in [
        format!("[[proxy.users]]\nname = \"ali\"\nkey = \"{KEY}SECRET\"\n"),
        "[[proxy.users]]\nname = \"ali\"\nkey = [\"SECRET\"]\n".to_owned(),
        "[[proxy.users]]\nname = \"ali\"\nuuid = \"SECRET\"\n".to_owned(),
        listener("vless", &format!("{TLS}reality = {{ private_key = \"SECRET\", server_names = [\"a.example\"] }}\n")),
        listener("shadowsocks", "shadowsocks.key = \"SECRET\"\n"),
    ] {
        let found = problems(&wrong);
        assert!(!found.is_empty() && found.iter().all(|problem| !problem.contains("SECRET")), "{found:?}");
    }
}

/// The examples of docs/inbounds.md, each as a configuration of its own, with keys in the place of what is left out.
#[test]
fn the_examples_of_the_page_are_good() {
    let page = include_str!("../../../../../docs/inbounds.md");
    let shadowsocks = "key = \"AAECAwQFBgcICQoLDA0ODw==\"";
    let mut examples = vec![String::new()];
    for line in page.lines() {
        match line.strip_prefix("    ") {
            Some(code) => examples.last_mut().unwrap().push_str(&format!("{code}\n")),
            // An empty line may stand between two tables of one example.
            None if line.is_empty() => {}
            None => examples.push(String::new()),
        }
    }
    examples.retain(|example| example.starts_with("[["));
    assert!(examples.len() >= 5, "{examples:?}");
    for example in examples {
        let of_server = example.contains("[listener.shadowsocks]");
        let key = if of_server { shadowsocks.to_owned() } else { format!("key = \"{KEY}\"") };
        let text = example.replace("key = \"…\"", &key);
        read(&text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    }
}
