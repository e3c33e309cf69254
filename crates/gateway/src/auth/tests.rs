//! Who may come in, and what a name means.

use super::*;
use crate::options::OptionError;

fn login(name: &str, password: &str) -> Login {
    Login { name: name.into(), password: password.into() }
}

fn users() -> Vec<User> {
    ["alice", "alice-b", "bob"]
        .map(|name| User { name: name.into(), password: format!("{name}-secret").into() })
        .to_vec()
}

#[test]
fn without_users_anybody_comes_in() {
    assert_eq!(identify(&[], None).unwrap(), Identity::default());
    let identity = identify(&[], Some(&login("x-country-us", ""))).unwrap();
    assert_eq!((&*identity.user, identity.options.country), ("x", Some(*b"US")));
    assert_eq!(&*identify(&[], Some(&login("plain", "p"))).unwrap().user, "plain");
    assert!(matches!(identify(&[], Some(&login("x-contry-us", ""))), Err(Refusal::BadOption(OptionError::UnknownKey))));
}

#[test]
fn users_need_their_password() {
    let users = users();
    assert!(matches!(identify(&users, None), Err(Refusal::AuthMissing)));
    for (name, password) in [
        ("alice", ""),
        ("alice", "alice-secre"),
        ("alice", "alice-secret2"),
        ("carol", "x"),
        ("alicex", "alice-secret"),
    ] {
        assert!(matches!(identify(&users, Some(&login(name, password))), Err(Refusal::AuthWrong)), "{name}");
    }
    assert_eq!(&*identify(&users, Some(&login("alice", "alice-secret"))).unwrap().user, "alice");
}

#[test]
fn options_follow_the_longest_known_name() {
    let identity = identify(&users(), Some(&login("alice-b-country-de", "alice-b-secret"))).unwrap();
    assert_eq!((&*identity.user, identity.options.country), ("alice-b", Some(*b"DE")));
    let bad = identify(&users(), Some(&login("alice-nonsense-de", "alice-secret")));
    assert!(matches!(bad, Err(Refusal::BadOption(_))));
    // Whoever does not know the password learns nothing about options.
    assert!(matches!(identify(&users(), Some(&login("alice-nonsense-de", "x"))), Err(Refusal::AuthWrong)));
}

#[test]
fn basic_credentials() {
    let read = basic(b"Basic YWxpY2U6YTpi").unwrap();
    assert_eq!((&*read.name, &*read.password), ("alice", "a:b"));
    assert!(basic(b"basic YWxpY2U6").is_some());
    for bad in [&b"Bearer abc"[..], b"Basic", b"Basic !!!", b"Basic YWxpY2U=", b"\xff\xfe", b""] {
        assert!(basic(bad).is_none());
    }
}

#[test]
fn equal_is_equality() {
    for (a, b) in [("", ""), ("a", "a"), ("a", "b"), ("ab", "a"), ("aa", "a"), ("", "a"), ("a", "")] {
        assert_eq!(equal(a.as_bytes(), b.as_bytes()), a == b, "{a:?} {b:?}");
    }
}
