//! Who may come in, and what a name means.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use futures_util::FutureExt;
use proptest::prelude::*;

use super::{Login, *};
use crate::OptionError;

fn login(name: &str, password: &str) -> Login {
    Login { name: name.into(), password: password.into() }
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn with_users(users: &[User]) -> Arc<GatewayConfig> {
    Arc::new(GatewayConfig { users: users.to_vec(), ..GatewayConfig::default() })
}

/// Plain passwords are compared at once.
fn identify(users: &[User], login: Option<&Login>) -> Result<Identity, Refusal> {
    let (config, passwords) = (with_users(users), PasswordChecker::default());
    super::identify(&config, login, &passwords, CLIENT).now_or_never().unwrap()
}

fn identify_decoded(users: &[User], logins: &[Login]) -> Result<Identity, Refusal> {
    let (config, passwords) = (with_users(users), PasswordChecker::default());
    super::identify_decoded(&config, logins, &passwords, CLIENT).now_or_never().unwrap()
}

fn users() -> Vec<User> {
    ["alice", "alice-b", "bob"].map(|name| User::new(name, format!("{name}-secret"))).to_vec()
}

#[test]
fn without_users_anybody_comes_in() {
    assert_eq!(identify(&[], None).unwrap(), Identity::default());
    let identity = identify(&[], Some(&login("x-country-us", ""))).unwrap();
    assert_eq!((&*identity.user, identity.options.countries), ("x", vec![*b"US"]));
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
    assert_eq!((&*identity.user, identity.options.countries), ("alice-b", vec![*b"DE"]));
    let bad = identify(&users(), Some(&login("alice-nonsense-de", "alice-secret")));
    assert!(matches!(bad, Err(Refusal::BadOption(_))));
    // Whoever does not know the password learns nothing about options.
    assert!(matches!(identify(&users(), Some(&login("alice-nonsense-de", "x"))), Err(Refusal::AuthWrong)));
}

/// (name, password, user, country, session, minutes)
type Spelling = (&'static str, &'static str, &'static str, Option<&'static str>, Option<&'static str>, Option<u64>);

#[test]
fn vendors_spellings_mean_the_same() {
    let spellings: [Spelling; 42] = [
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
        ("alice.acc-12", "", "alice", None, Some("acc-12"), Some(7 * 1440)),
        ("alice.tom smith+x@mail.example", "", "alice", None, Some("tom smith+x@mail.example"), Some(7 * 1440)),
        ("alice.acc-12-country-de-sesstime-5", "", "alice", Some("DE"), Some("acc-12"), Some(5)),
        ("lum-customer-alice-zone-z1-country-us-dns-remote", "", "alice", Some("US"), None, None),
        ("brd-customer-alice-zone-z-session-r1-dns-local-debug-full", "", "alice", None, Some("r1"), None),
        ("alice", "_country-us_session-a1_streaming-1_skipispstatic-1", "alice", Some("US"), Some("a1"), None),
        ("alice__cr.de", "", "alice", Some("DE"), None, None),
        ("alice__cr.us;sessid.a1;sessttl.45", "", "alice", Some("US"), Some("a1"), Some(45)),
        ("package-alice-country-us-sessionid-ab-sessionlength-300", "", "alice", Some("US"), Some("ab"), Some(5)),
        ("alice-country-us-opt-uniqip", "", "alice", Some("US"), None, None),
        ("alice", "_country-UnitedStates_session-Ab1", "alice", Some("US"), Some("Ab1"), None),
        ("alice-res-us-sid-1234567", "", "alice", Some("US"), Some("1234567"), None),
        ("alice-res-any", "", "alice", None, None, None),
        ("alice-stc-de-SID-9", "", "alice", Some("DE"), Some("9"), None),
        ("alice_c_us_s_k9_ttl_10m", "", "alice", Some("US"), Some("k9"), Some(10)),
        ("alice-country-us-sid-x9-ttl-24h-filter-medium", "", "alice", Some("US"), Some("x9"), Some(1440)),
        ("user-alice-region-us-sessid-ab-sesstime-30", "", "alice", Some("US"), Some("ab"), Some(30)),
        ("alice-zone-custom-region-US-session-q-sessTime-5", "", "alice", Some("US"), Some("q"), Some(5)),
        ("account-alice-pipeline-residential-country-us-session-n", "", "alice", Some("US"), Some("n"), None),
        ("alice;country=US;session=p;refreshMinutes=10", "", "alice", Some("US"), Some("p"), Some(10)),
        ("alice-type-residential-country-us", "", "alice", Some("US"), None, None),
        ("alice-country-us-rotate", "", "alice", Some("US"), None, None),
        ("alice-cc-uk", "", "alice", Some("GB"), None, None),
        ("alice-session-x-sesstime-30d", "", "alice", None, Some("x"), Some(30 * 1440)),
        ("alice-session-x-sesstime-20160", "", "alice", None, Some("x"), Some(14 * 1440)),
        ("alice-b-us-77", "", "alice-b", Some("US"), Some("77"), None),
    ];
    for (name, behind, user, country, session, minutes) in spellings {
        let identity = identify(&users(), Some(&login(name, &format!("{user}-secret{behind}")))).unwrap();
        let countries: Vec<[u8; 2]> = country.iter().map(|text| text.as_bytes().try_into().unwrap()).collect();
        let minutes = minutes.map(|minutes| Duration::from_secs(minutes * 60));
        let read = &identity.options;
        assert_eq!((&*identity.user, &read.countries), (user, &countries), "{name}");
        assert_eq!((read.session.as_deref(), read.session_ttl), (session, minutes), "{name}");
        if behind.is_empty() && !name.contains("alice-b") {
            // Without users the same names carry the same options.
            assert_eq!(identify(&[], Some(&login(name, "x"))).unwrap().options, identity.options, "{name}");
        }
    }
}

#[test]
fn spellings_do_not_open_doors() {
    let mut users = users();
    users.push(User::new("user", "user-secret"));
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
        ("alice-cc-us-state-x", "alice-secret", OptionError::TooFine),
        ("alice-country-us-region-california", "alice-secret", OptionError::TooFine),
        ("alice-country-us-isp-x", "alice-secret", OptionError::TooFine),
        ("alice__cr.us;state.texas", "alice-secret", OptionError::TooFine),
        ("alice-country-us-ip-192.0.2.1", "alice-secret", OptionError::TooFine),
        ("alice__contry.us", "alice-secret", OptionError::UnknownKey),
        ("alice_tom", "alice-secret", OptionError::UnknownKey),
        ("alice-cc-us-country-de", "alice-secret", OptionError::Twice("country")),
        ("alice-cc-us", "alice-secret_country-de", OptionError::Twice("country")),
        ("alice", "alice-secret_contry-de", OptionError::UnknownKey),
        ("alice.", "alice-secret", OptionError::Session),
    ] {
        let refused = identify(&users, Some(&login(name, password)));
        assert!(matches!(refused, Err(Refusal::BadOption(found)) if found == error), "{name} {password}: {refused:?}");
    }
}

#[test]
fn without_users_an_account_is_a_session_of_its_platform() {
    let of = |name: &str| {
        let identity = identify(&[], Some(&login(name, "x"))).unwrap();
        (identity.user.to_string(), identity.options.session.map(String::from))
    };
    let named = |user: &str, session: Option<&str>| (user.to_owned(), session.map(str::to_owned));
    for (name, user, session) in [
        ("Default.user_tom", "Default", Some("user_tom")),
        ("Default.acc-12", "Default", Some("acc-12")),
        ("Default.tmp-12", "Default", Some("tmp-12")),
        ("Default.acc-12-country-de", "Default", Some("acc-12")),
        ("Default.tom@mail.example", "Default", Some("tom@mail.example")),
        ("Default.a.b", "Default", Some("a.b")),
        ("Default.us-1234", "Default", Some("us-1234")),
        ("bob@mail.example", "bob@mail.example", None),
        ("Default.", "Default.", None),
        (".x", ".x", None),
        ("user_tom", "user_tom", None),
        ("plain", "plain", None),
    ] {
        assert_eq!(of(name), named(user, session), "{name}");
    }
    assert!(identify(&[], Some(&login("x-contry-de-session-a", ""))).is_err(), "a mistyped option is not dropped");
}

#[test]
fn names_are_bounded_and_print_nothing_strange() {
    let users = users();
    let long = format!("alice-session-{}", "a".repeat(255));
    for name in [
        long.as_str(),
        "alice\n2026-11-28 WARN forged",
        "alice\x1b[31m",
        "alice\u{9b}31m",
        "alice\0",
        "alice.\u{202e}x",
    ] {
        for users in [&users[..], &[]] {
            let refused = identify(users, Some(&login(name, "alice-secret")));
            assert!(matches!(refused, Err(Refusal::BadOption(OptionError::Name))), "{name:?}: {refused:?}");
            assert!(read_name(users, name).is_err());
        }
    }
    let longest = format!("alice.{}", "a".repeat(249));
    assert!(identify(&users, Some(&login(&longest, "alice-secret"))).is_ok());
    assert!(identify(&[], Some(&login("علی-country-de", ""))).is_ok());
}

proptest! {
    #[test]
    fn names_never_panic(name in "\\PC{0,60}", text in "[a-d._;@=-]{0,40}") {
        let users = users();
        for name in [&name, &text] {
            let _ = (read_name(&users, name), read_name(&[], name));
        }
    }
}

#[test]
fn basic_credentials() {
    let read = |value: &[u8]| match basic(value) {
        Basic::Logins(logins) => logins.iter().map(|l| format!("{} {}", l.name, l.password)).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    assert_eq!(read(b"Basic YWxpY2U6YTpi"), ["alice a:b"]);
    assert_eq!(read(b"basic  YWxpY2U6 "), ["alice "]);
    assert_eq!(read(b"Basic YWxpY2U6YQ"), ["alice a"], "without padding");
    for bad in [&b"Basic"[..], b"Basic !!!", b"Basic YWxpY2U=", b"Basic "] {
        assert!(basic(bad) == Basic::Malformed, "{bad:?}");
    }
    for other in [&b"Bearer abc"[..], b"NTLM TlRMTVNTUAABAAAA", b"\xff\xfe", b""] {
        assert!(basic(other) == Basic::Other, "{other:?}");
    }
}

#[test]
fn a_password_matches_in_utf8_and_in_latin1() {
    let user = |name: &str, password: &str| User::new(name, password);
    let users = [user("bob", "café"), user("zoë", "pass"), user("carl", "Ã©")];
    let known =
        |name: &[u8], password: &[u8]| identify_decoded(&users, &decode_login(name, password)).map(|found| found.user);
    assert_eq!(&*known(b"bob", "café".as_bytes()).unwrap(), "bob");
    assert_eq!(&*known(b"bob", b"caf\xe9").unwrap(), "bob");
    assert_eq!(&*known("zoë".as_bytes(), b"pass").unwrap(), "zoë");
    assert_eq!(&*known(b"zo\xeb", b"pass").unwrap(), "zoë");
    // Latin-1 that happens to be UTF-8, too.
    assert_eq!(&*known(b"carl", b"\xc3\xa9").unwrap(), "carl");
    assert_eq!(&*known(b"carl", "Ã©".as_bytes()).unwrap(), "carl");
    for (name, password) in [(&b"bob"[..], &b"caf\xe8"[..]), (b"bob", b"cafe"), (b"zoe", b"pass"), (b"", b"")] {
        assert!(matches!(known(name, password), Err(Refusal::AuthWrong)), "{name:?}");
    }
    assert!(matches!(known("علی".as_bytes(), b"x"), Err(Refusal::AuthWrong)), "its Latin-1 reading has controls");
    assert!(matches!(identify_decoded(&users, &[]), Err(Refusal::AuthMissing)));
}
