//! Types of settings that are words of their own: points in time, countries, targets and short names.

use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};

use super::{Given, Optional, SettingValue};
use crate::{Target, Timestamp, XhttpMode};

/// A date (its first moment in UTC) or a date with a time and an offset, as RFC 3339 writes them.
impl SettingValue for Timestamp {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?.trim();
        let moment = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(day) => day.and_time(NaiveTime::MIN).and_utc().timestamp_millis(),
            Err(_) => DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis(),
        };
        u64::try_from(moment).ok().map(Self)
    }

    fn expected((): &()) -> String {
        "a date such as \"2027-12-31\" or a time such as \"2027-12-31T18:00:00Z\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let moment = DateTime::from_timestamp_millis(i64::try_from(self.0).ok()?)?;
        Some(Given::Text(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
    }
}

impl Optional for Timestamp {}

/// A text whose length in bytes is bounded.
impl SettingValue for Box<str> {
    type Range = RangeInclusive<usize>;

    fn parse(given: &Given, range: &Self::Range) -> Option<Self> {
        given.text().filter(|text| range.contains(&text.len())).map(Into::into)
    }

    fn expected(range: &Self::Range) -> String {
        format!("a text of {} to {} bytes", range.start(), range.end())
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.to_string()))
    }
}

impl Optional for Box<str> {}

/// A list of countries, each by its two letters (ISO 3166-1 alpha-2) in upper case.
impl SettingValue for Vec<[u8; 2]> {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        Vec::<String>::parse(given, &())?.iter().map(|text| country_code(text)).collect()
    }

    fn expected((): &()) -> String {
        "a list of countries by their two letters (ISO 3166), such as [\"DE\", \"NL\"]".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let text = |code: &[u8; 2]| Given::Text(String::from_utf8_lossy(code).into_owned());
        Some(Given::List(self.iter().map(text).collect()))
    }
}

/// A host and a port.
impl SettingValue for Target {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        Self::parse(given.text()?.trim()).ok()
    }

    fn expected((): &()) -> String {
        "a host and a port, such as \"127.0.0.1:8088\" or \"www.example.com:443\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.to_string()))
    }
}

impl Optional for Target {}

crate::choices!(XhttpMode);

/// The two letters of a country (ISO 3166-1 alpha-2) in upper case; `None` when the text is something else.
#[must_use]
pub fn country_code(text: &str) -> Option<[u8; 2]> {
    let letters: [u8; 2] = text.trim().as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_alphabetic).then(|| letters.map(|letter| letter.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn times_are_dates_or_rfc_3339() {
        let read = |given: &str| Timestamp::parse(&text(given), &());
        assert_eq!(read("1970-01-02"), Some(Timestamp(86_400_000)));
        assert_eq!(read("1970-01-01T01:00:00+01:00"), Some(Timestamp(0)));
        assert_eq!(read("1970-01-01T00:00:00.250Z"), Some(Timestamp(250)));
        for wrong in ["", "1969-12-31", "2027-13-01", "2027-01-01T00:00:00", "tomorrow", "1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        for moment in [0, 250, 1_800_000_000_000] {
            let written = Timestamp(moment).write().unwrap();
            assert_eq!(Timestamp::parse(&written, &()), Some(Timestamp(moment)), "{written:?}");
        }
        assert_eq!(Timestamp(u64::MAX).write(), None);
    }

    #[test]
    fn countries_are_two_letters_each() {
        let read = |given: &[&str]| Vec::<[u8; 2]>::parse(&Given::List(given.iter().map(|t| text(t)).collect()), &());
        assert_eq!(read(&["de", "NL"]), Some(vec![*b"DE", *b"NL"]));
        assert_eq!(read(&["deu"]), None);
        assert_eq!(read(&["d1"]), None);
        assert_eq!(vec![*b"DE"].write(), Some(Given::List(vec![text("DE")])));
    }

    #[test]
    fn targets_and_modes_read_back() {
        for given in ["127.0.0.1:8088", "[::1]:1", "www.example.com:443"] {
            let target = <Target as SettingValue>::parse(&text(given), &()).unwrap();
            assert_eq!(target.write(), Some(text(given)));
        }
        assert_eq!(<Target as SettingValue>::parse(&text("www.example.com"), &()), None);
        for mode in XhttpMode::ALL {
            assert_eq!(XhttpMode::parse(&mode.write().unwrap(), &()), Some(mode));
        }
    }

    #[test]
    fn short_texts_are_bounded_in_bytes() {
        let read = |given: &str| Box::<str>::parse(&text(given), &(1..=4));
        assert_eq!(read("alme").as_deref(), Some("alme"));
        assert_eq!((read(""), read("é".repeat(3).as_str())), (None, None));
        assert_eq!(Box::<str>::expected(&(1..=4)), "a text of 1 to 4 bytes");
    }
}
