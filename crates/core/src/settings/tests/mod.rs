//! A struct of settings, read and written through its descriptions.

mod values;

use std::{net::SocketAddr, time::Duration};

use super::*;
use crate::Secret;

crate::settings! {
    /// Settings of every kind.
    #[allow(unreachable_pub, reason = "the macro declares public structs")]
    #[derive(Clone, Debug, PartialEq)]
    pub struct Example in "example" {
        /// How often.
        /// More about it.
        pub often: u32 [1..=32] = 16, set;
        /// How long.
        pub long as "for": Duration [Duration::ZERO..=Duration::from_secs(60)] = Duration::from_secs(5);
        /// In another section.
        pub away as "other.away": bool = true;
        /// A secret.
        pub token: Option<Secret> = None, example "\"…\"";
        /// An address.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 80));
        /// A page.
        pub page: Option<url::Url> = Some(known_url("http://a.test/"));
        /// Pages.
        pub pages: Vec<url::Url> = Vec::new();
    } and {
        /// Not a setting.
        pub inner: u8 = 7;
    }
}

fn setting(path: &str) -> &'static Setting<Example> {
    Example::ALL.iter().find(|setting| setting.path == path).unwrap()
}

#[test]
fn a_setting_is_described_once() {
    let often = setting("often");
    assert_eq!((often.section(), often.key(), often.set, often.example), ("example", "often", true, None));
    assert_eq!((often.doc.len(), often.doc[0].trim()), (2, "How often."));
    assert_eq!((often.expected)(), "a whole number from 1 to 32");
    let away = setting("other.away");
    assert_eq!((away.section(), away.key(), away.set), ("other", "away", false));
    assert_eq!(setting("token").example, Some("\"…\""));
    assert_eq!((Example::default().often, Example::default().inner), (16, 7));
}

#[test]
fn values_are_read_within_their_ranges_and_others_change_nothing() {
    let mut example = Example::default();
    let mut read = |path: &str, given: Given| (setting(path).read)(&mut example, &given);
    assert_eq!(read("often", Given::Integer(3)), Ok(()));
    assert_eq!(read("for", Given::Text("1s".into())), Ok(()));
    assert_eq!(read("other.away", Given::Variable("false".into())), Ok(()));
    assert_eq!(read("page", Given::Text(String::new())), Ok(()));
    for wrong in [Given::Integer(0), Given::Integer(-1), Given::Text("3".into()), Given::Other("float")] {
        assert_eq!(read("often", wrong), Err(vec![Mistake::Expected("a whole number from 1 to 32".into())]));
    }
    let urls = Given::List(["http://a.test/", "ftp://u:p@a.test/", "x"].map(|text| Given::Text(text.into())).into());
    let mistakes = read("pages", urls).unwrap_err();
    assert!(mistakes.len() == 2 && !format!("{mistakes:?}").contains("u:p"), "{mistakes:?}");
    let page = read("page", Given::Integer(1)).unwrap_err();
    assert_eq!(page, [Mistake::Expected("an http or https URL, or \"\" for none".into())]);
    assert!(matches!(&read("listen", Given::Text(":1".into())).unwrap_err()[..], [Mistake::Message(_)]));
    assert_eq!((example.often, example.long, example.away, &example.page), (3, Duration::from_secs(1), false, &None));
}

#[test]
fn what_is_written_hides_secrets_and_reads_back() {
    let example = Example {
        token: Some("SECRET".into()),
        page: Some(known_url("https://u:SECRET@a.test/?SECRET")),
        ..Example::default()
    };
    for setting in Example::ALL {
        let Some(written) = (setting.write)(&example) else { continue };
        assert!(!format!("{written:?}").contains("SECRET"), "{written:?}");
        let mut again = Example::default();
        assert_eq!((setting.read)(&mut again, &written), Ok(()), "{}", setting.path);
    }
}

#[test]
fn two_structs_are_compared_key_by_key_secrets_too() {
    let one = Example::default();
    let other = Example { often: 1, token: Some("x".into()), ..one.clone() };
    let differ: Vec<&str> = one.differences(&other).map(|setting| setting.path).collect();
    assert_eq!(differ, ["often", "token"]);
    assert_eq!(other.differences(&other).count(), 0);
}
