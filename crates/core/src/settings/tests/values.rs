//! The types of settings: what each reads, what it refuses, how it is written, and what its error texts say.

use std::{
    fmt::Debug,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use proptest::prelude::*;

use crate::{Secret, settings::*};

fn text(text: &str) -> Given {
    Given::Text(text.to_owned())
}

fn variable(text: &str) -> Given {
    Given::Variable(text.to_owned())
}

/// Fails unless the value is written as something that reads as the same value.
fn reads_back<T: SettingValue + Debug>(value: &T, range: &T::Range) {
    let written = value.write().unwrap();
    assert_eq!(T::read(&written, range).as_ref(), Ok(value), "{written:?}");
}

#[test]
fn durations_are_numbers_with_units() {
    let good = [
        ("0s", 0),
        ("500ms", 500),
        ("5s", 5000),
        (" 30m ", 1_800_000),
        ("1h30m", 5_400_000),
        ("1d 12h", 129_600_000),
        ("1m1m", 120_000),
    ];
    for (text, milliseconds) in good {
        assert_eq!(read_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
    }
    for wrong in ["", " ", "5", "s", "5x", "5S", "-5s", "1.5s", "5s5", "1h,30m", "99999999999999999999s"] {
        assert_eq!(read_duration(wrong), None, "{wrong}");
    }
    assert_eq!(read_duration("18446744073709551615d"), None, "too long for a duration");
    assert_eq!(
        ["1h30m", "90s", "24h", "1500ms"].map(|text| show_duration(read_duration(text).unwrap())),
        ["90m", "90s", "1d", "1500ms"]
    );
    let range = Duration::from_millis(100)..=Duration::from_secs(600);
    assert_eq!(Duration::expected(&range), "a duration from 100ms to 10m, such as \"30s\" or \"1h30m\"");
    assert_eq!(Duration::parse(&text("601s"), &range), None);
    assert_eq!(Duration::parse(&Given::Integer(5), &range), None, "a number has no unit");
}

#[test]
fn sizes_are_bytes_or_have_a_unit() {
    let good = [("0", 0), ("4096", 4096), ("1B", 1), ("64KiB", 65_536), ("32 MiB", 33_554_432), ("1GiB", 1 << 30)];
    for (text, bytes) in good {
        assert_eq!(read_bytes(text), Some(bytes), "{text}");
    }
    for wrong in ["", "KiB", "1KB", "1k", "-1", "1.5MiB", "18446744073709551616", "18446744073709551615GiB"] {
        assert_eq!(read_bytes(wrong), None, "{wrong}");
    }
    let range = 1024..=65_536;
    assert_eq!(ByteCount::parse(&Given::Integer(1024), &range), Some(ByteCount(1024)));
    assert_eq!(ByteCount::parse(&variable("64KiB"), &range), Some(ByteCount(65_536)));
    for wrong in [Given::Integer(-1), Given::Integer(1023), text("1MiB"), Given::Boolean(true)] {
        assert_eq!(ByteCount::parse(&wrong, &range), None, "{wrong:?}");
    }
    reads_back(&ByteCount(2048), &range);
    assert_eq!(ByteCount::expected(&range), "a size from 1024 to 65536 bytes, such as \"32MiB\"");
}

#[test]
fn addresses_to_listen_on_say_who_may_connect() {
    let good = [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("8000", "127.0.0.1:8000"),
        (" localhost:1 ", "127.0.0.1:1"),
        ("[::1]:80", "[::1]:80"),
        ("0.0.0.0:80", "0.0.0.0:80"),
    ];
    for (text, address) in good {
        assert_eq!(listen_address(text).map(|address| address.to_string()).as_deref(), Ok(address), "{text}");
    }
    for (wrong, told) in [
        (":8000", "does not say who may connect"),
        ("*:8000", "\"0.0.0.0:8000\" for all networks"),
        ("127.0.0.1", "has no port"),
        ("::1", "has no port"),
        ("example.org:80", "expected an address and a port"),
        ("65536", "expected an address and a port"),
        ("u:SECRET@127.0.0.1:80", "found a text of 21 characters"),
    ] {
        let message = listen_address(wrong).unwrap_err();
        assert!(message.contains(told) && !message.contains("SECRET"), "{wrong}: {message}");
    }
    let public = |text: &str| is_public(text.parse().unwrap());
    assert_eq!(["0.0.0.0:1", "[::]:1", "192.0.2.1:1"].map(public), [true; 3]);
    assert_eq!(["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"].map(public), [false; 4]);
    assert_eq!(SocketAddr::parse(&Given::Integer(80), &()), Some(SocketAddr::from(([127, 0, 0, 1], 80))));
    assert_eq!(SocketAddr::parse(&Given::Integer(70_000), &()), None);
    assert!(matches!(&SocketAddr::read(&Given::Boolean(true), &()).unwrap_err()[..], [Mistake::Expected(_)]));
    reads_back(&SocketAddr::from(([192, 0, 2, 1], 80)), &());
}

#[test]
fn the_environment_gives_texts_for_values_of_any_type() {
    let range: RangeInclusive<u16> = 1..=100;
    assert_eq!(u16::parse(&variable(" 7 "), &range), Some(7));
    assert_eq!(u16::parse(&text("7"), &range), None, "in a file a number has no quotes");
    assert_eq!(bool::parse(&variable("true"), &()), Some(true));
    assert_eq!(bool::parse(&text("true"), &()), None);
    let list = |given: &Given| Vec::<String>::parse(given, &());
    assert_eq!(list(&variable("a, b,,c ")), Some(["a", "b", "c"].map(str::to_owned).to_vec()));
    assert_eq!(list(&text("a, b")), Some(vec!["a, b".to_owned()]), "in a file it is one text");
    assert_eq!(list(&Given::List(vec![text("a"), Given::Integer(1)])), None);
    assert_eq!(list(&Given::Integer(1)), None);
    reads_back(&vec!["a".to_owned(), "b, c".to_owned()], &());
}

#[test]
fn the_empty_text_is_none_where_a_setting_allows_it() {
    let path = |given: &str| Option::<PathBuf>::read(&text(given), &());
    assert_eq!((path(""), path("/x")), (Ok(None), Ok(Some(PathBuf::from("/x")))));
    assert_eq!(Option::<PathBuf>::expected(&()), "a path, or \"\" for none");
    assert_eq!(None::<PathBuf>.write(), Some(text("")));
    assert_eq!(
        Option::<PathBuf>::read(&Given::Integer(1), &()),
        Err(vec![Mistake::Expected("a path, or \"\" for none".to_owned())])
    );
    assert_eq!((Option::<u16>::read(&text(""), &(1..=9)).is_err(), None::<u16>.write()), (true, None));
    assert_eq!(Option::<String>::read(&text(""), &()), Ok(Some(String::new())), "an empty text is a text");
}

#[test]
fn urls_are_http_with_a_host_and_shown_without_secrets() {
    for good in ["http://a.test", "https://a.test:8443/x?y=z", "HTTPS://A.test/"] {
        assert!(http_url(good).is_some(), "{good}");
    }
    for wrong in ["", "a.test", "ftp://a.test/", "http://", "file:///etc/passwd", "javascript:alert(1)"] {
        assert!(http_url(wrong).is_none(), "{wrong}");
    }
    let shown = |url: &str| match http_url(url).unwrap().write() {
        Some(Given::Text(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown("https://a.test/list"), "https://a.test/list");
    for secret in ["https://SECRET@a.test/", "https://u:SECRET@a.test/x", "https://a.test/x?token=SECRET"] {
        let shown = shown(secret);
        assert!(!shown.contains("SECRET") && http_url(&shown).is_some(), "{shown}");
    }
    assert_eq!(Secret::new("SECRET").write(), Some(text("…")));
}

#[test]
fn error_texts_quote_nothing_that_may_be_secret() {
    assert_eq!(quote("wrong"), "\"wrong\"");
    assert_eq!(quote("https://u:SECRET@a.test/"), "\"https://…\"");
    assert_eq!(quote("SECRET@host"), "a text of 11 characters");
    assert_eq!(quote("a\nb"), "\"a\\nb\"", "a line stays one line");
    let long = quote(&"é".repeat(500));
    assert_eq!((long.chars().filter(|c| *c == 'é').count(), long.ends_with("…\"")), (100, true));
}

proptest! {
    #[test]
    fn any_duration_reads_back_as_it_is_shown(milliseconds in 0..=u64::MAX / 2) {
        let duration = Duration::from_millis(milliseconds);
        prop_assert_eq!(read_duration(&show_duration(duration)), Some(duration));
    }

    #[test]
    fn any_text_is_a_value_or_a_mistake_that_names_no_password(given in "\\PC{0,60}", password in "[a-z]{12,20}") {
        let _ = (read_duration(&given), read_bytes(&given));
        let listed = listen_address(&given);
        prop_assert!(listed.is_ok() || !listed.unwrap_err().is_empty());
        let told = quote(&format!("{given}:{password}@host"));
        prop_assert!(!told.contains(&password), "{}", told);
    }

    #[test]
    fn any_address_reads_back(ip: IpAddr, port: u16) {
        let address = SocketAddr::new(ip, port);
        prop_assert_eq!(listen_address(&address.to_string()), Ok(address));
        prop_assert_eq!(is_public(address), !ip.to_canonical().is_loopback());
    }
}
