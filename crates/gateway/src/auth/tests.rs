//! Who may come in, and what a name means.

use super::*;
use crate::{Limits, options::OptionError};

fn login(name: &str, password: &str) -> Login {
    Login { name: name.into(), password: password.into() }
}

fn users() -> Vec<User> {
    ["alice", "alice-b", "bob"]
        .map(|name| User { name: name.into(), password: format!("{name}-secret").into(), limits: Limits::default() })
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

/// (name, password, user, country, session, minutes)
type Spelling = (&'static str, &'static str, &'static str, Option<&'static str>, Option<&'static str>, Option<u64>);

#[test]
fn vendors_spellings_mean_the_same() {
    let spellings: [Spelling; 16] = [
        ("alice-country-us-session-a1-sesstime-30", "", "alice", Some("US"), Some("a1"), Some(30)),
        ("brd-customer-alice-zone-res1-country-us-session-a1", "", "alice", Some("US"), Some("a1"), None),
        ("customer-alice-cc-US-sessid-abc-sesstime-5", "", "alice", Some("US"), Some("abc"), Some(5)),
        ("user-alice-country-us-session-x-sessionduration-30", "", "alice", Some("US"), Some("x"), Some(30)),
        ("alice-country-us-session-x-lifetime-30", "", "alice", Some("US"), Some("x"), Some(30)),
        ("alice-region-us-session-x-sesstime-30", "", "alice", Some("US"), Some("x"), Some(30)),
        ("alice-session-37", "", "alice", None, Some("37"), None),
        ("alice-us-1234", "", "alice", Some("US"), Some("1234"), None),
        ("alice-us-rotate", "", "alice", Some("US"), None, None),
        ("alice-rotate", "", "alice", None, None, None),
        ("alice-1234", "", "alice", None, Some("1234"), None),
        ("alice-us", "", "alice", Some("US"), None, None),
        ("alice", "_country-us_session-8charsxx_lifetime-30m", "alice", Some("US"), Some("8charsxx"), Some(30)),
        ("alice-country-de", "_session-s_lifetime-7d", "alice", Some("DE"), Some("s"), Some(7 * 1440)),
        ("alice.work", "", "alice", None, Some("work"), Some(7 * 1440)),
        ("alice-b.work", "", "alice-b", None, Some("work"), Some(7 * 1440)),
    ];
    for (name, behind, user, country, session, minutes) in spellings {
        let identity = identify(&users(), Some(&login(name, &format!("{user}-secret{behind}")))).unwrap();
        let country = country.map(|text| <[u8; 2]>::try_from(text.as_bytes()).unwrap());
        let minutes = minutes.map(|minutes| Duration::from_secs(minutes * 60));
        let read = &identity.options;
        assert_eq!((&*identity.user, read.country), (user, country), "{name}");
        assert_eq!((read.session.as_deref(), read.session_ttl), (session, minutes), "{name}");
        if behind.is_empty() && !name.contains('.') {
            // Without users the same names carry the same options.
            assert_eq!(identify(&[], Some(&login(name, "x"))).unwrap().options, identity.options, "{name}");
        }
    }
}

#[test]
fn spellings_do_not_open_doors() {
    let mut users = users();
    users.push(User { name: "user".into(), password: "user-secret".into(), limits: Limits::default() });
    // A user who is really called so comes before the vendor's prefix.
    assert_eq!(&*identify(&users, Some(&login("user-country-de", "user-secret"))).unwrap().user, "user");
    for (name, password) in [
        ("customer-carol-cc-us", "alice-secret"),
        ("alice", "alice-secre_country-us"),
        ("alice", "alice-secretx_country-us"),
        ("alice", "_country-us"),
        ("alice", "alice-secretcountry-us"),
        (".work", "alice-secret"),
    ] {
        assert!(matches!(identify(&users, Some(&login(name, password))), Err(Refusal::AuthWrong)), "{name} {password}");
    }
    for (name, password, error) in [
        ("alice-cc-us-city-x", "alice-secret", OptionError::TooFine),
        ("alice-cc-us-country-de", "alice-secret", OptionError::Twice("country")),
        ("alice-cc-us", "alice-secret_country-de", OptionError::Twice("country")),
        ("alice", "alice-secret_contry-de", OptionError::UnknownKey),
        ("alice.a b", "alice-secret", OptionError::Session),
        ("alice.", "alice-secret", OptionError::Session),
    ] {
        let refused = identify(&users, Some(&login(name, password)));
        assert!(matches!(refused, Err(Refusal::BadOption(found)) if found == error), "{name} {password}: {refused:?}");
    }
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
