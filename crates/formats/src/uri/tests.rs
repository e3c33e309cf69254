//! The parts of links, however their publishers wrote them, and parameters that come back as they were written.

use proptest::prelude::*;

use super::{
    query::{Pairs, same},
    *,
};

#[test]
fn a_link_has_its_parts() {
    let uri = Uri::split("u%3As:er@host.example:443/path/x?a=1&b=%20#name%20here#more");
    assert_eq!((uri.userinfo, uri.user().as_ref()), (Some("u%3As:er"), "u:s:er"));
    assert_eq!((uri.host, uri.port, uri.path), ("host.example", "443", "/path/x"));
    assert_eq!((uri.query.get(&["a"]), uri.query.get(&["b"])), ("1", " "));
    assert_eq!(uri.label().as_str(), "name here#more");
    assert_eq!(uri.server().unwrap().to_string(), "host.example:443");
}

#[test]
fn servers_are_read_leniently_and_nothing_else_is() {
    for (body, expected) in [
        ("host.example:443", "host.example:443"),
        ("u@[2001:db8::1]:443?x", "[2001:db8::1]:443"),
        ("u@192.0.2.1:443\\", "192.0.2.1:443"),
        ("u@192.0.2.1:443\",", "192.0.2.1:443"),
        ("u@192.0.2.1:443&security=tls", "192.0.2.1:443"),
        ("u@%5B2001%3Adb8%3A%3A1%5D:443", "[2001:db8::1]:443"),
    ] {
        assert_eq!(Uri::split(body).server().map(|server| server.to_string()), Ok(expected.to_owned()), "{body}");
    }
    assert_eq!(Uri::split("u@192.0.2.1").server(), Err(RejectCode::BadPort));
    assert_eq!(Uri::split("u@192.0.2.1").server_or("443").unwrap().port(), 443);
    assert_eq!(Uri::split("u@:443").server(), Err(RejectCode::BadHost));
    assert_eq!(Uri::split("u@192.0.2.1:443&security=tls").query.get(&["security"]), "tls", "the `?` was forgotten");
}

#[test]
fn a_password_may_hold_the_signs_that_separate_parts() {
    for (body, password) in [
        ("p#w@192.0.2.1:443#name", "p#w"),
        ("p?w@192.0.2.1:443?sni=a#name", "p?w"),
        ("p@w#x@host.example:443", "p@w#x"),
        ("plain@host.example:443#n@me:1", "plain"),
    ] {
        let uri = Uri::split_password(body);
        assert_eq!(uri.required_user().as_deref(), Ok(password), "{body}");
        assert_eq!(uri.server().unwrap().port(), 443, "{body}");
    }
    for body in ["@192.0.2.1:443", "192.0.2.1:443"] {
        assert_eq!(Uri::split(body).required_user(), Err(RejectCode::BadCredential), "{body}");
    }
}

#[test]
fn names_of_parameters_are_compared_without_case_and_separators() {
    let query =
        Query::parse("Allow-Insecure=1&amp;amp;SNI=&sni=a.example&x&=y&alpn[]=h2&alpn[]=http/1.1&peer=b&PEER=c");
    assert!(query.flag(&["allowinsecure"]) && !query.flag(&["x"]) && !query.is_empty());
    assert_eq!(query.get(&["absent", "sni"]), "a.example", "an empty value is passed over");
    assert_eq!(query.all(&["peer"]), "b,c");
    assert_eq!(query.list("alpn"), ["h2".into(), "http/1.1".into()]);
    assert_eq!(Query::parse("alpn=h2,http/1.1").list("alpn"), ["h2".into(), "http/1.1".into()]);
    assert_eq!(query.keys().count(), query.pairs().count());
    assert!(same("Server_Name", "servername") && !same("server", "servername") && !same("servernames", "servername"));
}

#[test]
fn parameters_are_bounded_in_number() {
    let text = (0..1000).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join("&");
    assert_eq!(Query::parse(&text).pairs().count(), 256);
}

proptest! {
    #[test]
    fn parameters_that_are_written_are_read_back(text in "\\PC{1,20}", list in prop::collection::vec("\\PC{0,8}", 0..4), number: u32, on: bool) {
        let list: Vec<Box<str>> = list.into_iter().map(Into::into).collect();
        let mut pairs = Pairs::default();
        pairs.text("text", text.as_str());
        pairs.optional("absent", None);
        pairs.number("number", Some(number));
        pairs.flag("flag", on);
        pairs.list("list", &list);
        let mut link = String::from("x://host:1");
        pairs.append(&mut link);
        let uri = Uri::split(link.strip_prefix("x://").unwrap());
        prop_assert_eq!(uri.query.get(&["text"]), text.as_str());
        prop_assert_eq!(uri.query.get(&["absent"]), "");
        prop_assert_eq!(uri.query.get(&["number"]), number.to_string());
        prop_assert_eq!(uri.query.flag(&["flag"]), on);
        prop_assert_eq!(uri.query.list("list"), list);
    }

    #[test]
    fn a_component_survives_its_escapes(text in "\\PC{0,40}") {
        let escaped = escape(&text).to_string();
        prop_assert_eq!(unescape(&escaped), text.as_str());
    }

    #[test]
    fn no_text_breaks_the_parts(body in "\\PC{0,80}") {
        for uri in [Uri::split(&body), Uri::split_password(&body)] {
            let _ = (uri.server(), uri.server_or("443"), uri.label(), uri.required_user());
        }
    }
}
