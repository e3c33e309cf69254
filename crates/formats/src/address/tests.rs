//! Servers with logins in every published order, and texts that only look like them.

use proptest::prelude::*;

use super::*;

/// The server and its login as one text, as `user:password@host:port`.
fn found(text: &str, names: Names) -> Option<String> {
    let (server, login) = read(text, names)?;
    Some(match login {
        Some(Credentials { username, password }) => format!("{username}:{}@{server}", password.expose()),
        None => server.to_string(),
    })
}

#[test]
fn logins_stand_in_front_or_behind() {
    for (text, expected) in [
        ("192.0.2.1:1080", "192.0.2.1:1080"),
        ("192.0.2.1:1080;", "192.0.2.1:1080"),
        ("u:p@192.0.2.1:1080", "u:p@192.0.2.1:1080"),
        ("192.0.2.1:1080@u:p", "u:p@192.0.2.1:1080"),
        ("192.0.2.1:1080:u:p", "u:p@192.0.2.1:1080"),
        ("192.0.2.1:1080:u:p:with:colons", "u:p:with:colons@192.0.2.1:1080"),
        ("u:p:192.0.2.1:1080", "u:p@192.0.2.1:1080"),
        ("u:p@ss@192.0.2.1:1080", "u:p@ss@192.0.2.1:1080"),
        ("192.0.2.1:1080:rest", "192.0.2.1:1080"),
        ("u%40x:p%3A@192.0.2.1:1", "u@x:p:@192.0.2.1:1"),
        // `user:password` in base64.
        ("dXNlcjpwYXNzd29yZA==@192.0.2.1:1", "user:password@192.0.2.1:1"),
    ] {
        assert_eq!(found(text, Names::No).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn ipv6_needs_no_brackets_where_a_login_follows() {
    for (text, expected) in [
        ("[2001:db8::1]:1080", "[2001:db8::1]:1080"),
        ("[2001:db8::1]:1080:u:p", "u:p@[2001:db8::1]:1080"),
        ("u:p:[2001:db8::1]:1080", "u:p@[2001:db8::1]:1080"),
        ("u:p@[2001:db8::1]:1080", "u:p@[2001:db8::1]:1080"),
        ("2001:db8::1:1080:u:p", "u:p@[2001:db8::1]:1080"),
    ] {
        assert_eq!(found(text, Names::No).as_deref(), Some(expected), "{text}");
    }
    assert_eq!(found("2001:db8::1:1080", Names::Any), None, "the port could belong to the address");
}

#[test]
fn names_are_hosts_only_where_they_are_allowed() {
    let all = [Names::No, Names::Dotted, Names::Any];
    let reads = |text: &str| all.map(|names| found(text, names));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(reads("proxy.example:1080"), [None, some("proxy.example:1080"), some("proxy.example:1080")]);
    assert_eq!(reads("localhost:1080"), [None, None, some("localhost:1080")]);
    assert_eq!(reads("u:p@proxy.example:1")[0], some("u:p@proxy.example:1"), "an @ says where the host is");
    // Where both halves could be the server, the one that ends like a name of the Internet is.
    assert_eq!(reads("alice:1234:proxy.example:1080")[2], some("alice:1234@proxy.example:1080"));
    assert_eq!(reads("mail@example.org")[2], None);
    for (name, dotted) in [("a.example", true), ("a.xn--p1ai", true), ("a", false), ("a.1x", false), ("a.b", false)] {
        assert_eq!(is_dotted(name), dotted, "{name}");
    }
}

#[test]
fn what_is_no_server_is_none() {
    for text in
        ["", ":", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:x", "999.1.1.1:80", "[::1]", "u:p@", "a b:1"]
    {
        assert_eq!(found(text, Names::Any), None, "{text}");
    }
}

proptest! {
    #[test]
    fn every_order_of_a_login_reads_the_same(user in "[a-z]{1,8}", password in "[a-z0-9]{1,8}", a in 1..=254_u8, port in 1..=u16::MAX) {
        let server = format!("192.0.2.{a}:{port}");
        let login = format!("{user}:{password}");
        let expected = format!("{login}@{server}");
        for text in [format!("{login}@{server}"), format!("{server}@{login}"), format!("{server}:{login}"), format!("{login}:{server}")] {
            prop_assert_eq!(found(&text, Names::No), Some(expected.clone()), "{}", text);
        }
    }

    #[test]
    fn no_text_breaks_it(text in "\\PC{0,60}") {
        for names in [Names::No, Names::Dotted, Names::Any] {
            let _ = read(&text, names);
        }
    }
}
