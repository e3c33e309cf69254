//! Options in user names: order does not matter, mistakes are named, nothing panics.

use std::time::Duration;

use hezar_pool::Strategy;
use proptest::prelude::*;

use super::*;

#[test]
fn all_options_in_any_order() {
    let expected = UserOptions {
        countries: vec![*b"DE"],
        session: Some("abc12".into()),
        session_ttl: Some(Duration::from_secs(1800)),
        session_renew: true,
        asn: NonZeroU32::new(13_335),
        city: Some("new_york".into()),
        strategy: Some(Strategy::Random),
        anonymity: Some(Anonymity::Elite),
    };
    for text in [
        "country-de-session-abc12-sesstime-30-sessrenew-asn-13335-city-new_york-strategy-random-anonymity-elite",
        "anonymity-Elite-ASN-as13335-city-new_york-strategy-random-sesstime-30-session-abc12-country-DE-sessrenew",
        "SessRenew-City-new_york-asnum-AS13335-Session-abc12-COUNTRY-De-Anonymity-ELITE-strategy-RANDOM-sesstime-030",
    ] {
        assert_eq!(UserOptions::parse(text), Ok(expected.clone()), "{text}");
    }
}

#[test]
fn strategies_of_two_words() {
    for wanted in Strategy::ALL {
        let name = wanted.name();
        let options = UserOptions::parse(&format!("strategy-{name}-country-us")).unwrap();
        assert_eq!(options.strategy, Some(wanted), "{name}");
        assert_eq!(options.countries, [*b"US"]);
        assert_eq!(UserOptions::parse(&format!("strategy-{name}")).unwrap().strategy, Some(wanted));
    }
}

#[test]
fn mistakes_are_named() {
    for (text, error) in [
        ("contry-de", OptionError::UnknownKey),
        ("-country-de", OptionError::UnknownKey),
        ("country", OptionError::MissingValue("country")),
        ("country-", OptionError::MissingValue("country")),
        ("country-de-country-us", OptionError::Twice("country")),
        ("country-deu", OptionError::Country),
        ("country-d1", OptionError::Country),
        ("country-de,", OptionError::Country),
        ("country-de,Atlantis", OptionError::Country),
        ("country-de-region-bavaria", OptionError::TooFine),
        ("state-berlin", OptionError::TooFine),
        ("asn-x", OptionError::Asn),
        ("asn-0", OptionError::Asn),
        ("city-_", OptionError::City),
        ("session-a b", OptionError::Session),
        ("sesstime-0", OptionError::SessionTime),
        ("sesstime-43201", OptionError::SessionTime),
        ("sesstime-31d", OptionError::SessionTime),
        ("sesstime-99999999", OptionError::SessionTime),
        ("sesstime-+5", OptionError::SessionTime),
        ("strategy-best", OptionError::Strategy),
        ("strategy-round", OptionError::Strategy),
        ("anonymity-high", OptionError::Anonymity),
        ("anonymity", OptionError::MissingValue("anonymity")),
        ("anonymity-elite-anonymity-elite", OptionError::Twice("anonymity")),
    ] {
        assert_eq!(UserOptions::parse(text), Err(error), "{text}");
    }
    assert_eq!(UserOptions::parse(&format!("session-{}", "a".repeat(65))), Err(OptionError::Session));
    assert_eq!(UserOptions::parse(""), Ok(UserOptions::default()));
}

#[test]
fn countries_may_be_several() {
    let read = |text: &str| UserOptions::parse(text).unwrap().countries;
    assert_eq!(read("country-de,nl,de"), [*b"DE", *b"NL"]);
    assert_eq!(read("cc-us+UnitedKingdom"), [*b"US", *b"GB"]);
    assert_eq!(read("country-any"), [[0; 2]; 0]);
    let many: Vec<String> = (b'a'..b'a' + 17).map(|b| format!("a{}", b as char)).collect();
    assert_eq!(UserOptions::parse(&format!("country-{}", many.join(","))), Err(OptionError::Country));
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,80}") {
        let _ = UserOptions::parse(&text);
    }

    #[test]
    fn never_panics_near_the_grammar(words in prop::collection::vec("(country|session|sesstime|strategy|round|robin|de|30|)", 0..10)) {
        let _ = UserOptions::parse(&words.join("-"));
    }
}
