//! Settings that are URLs: http or https, with a host, and shown without what they may hold of secrets.

use url::Url;

use super::{Given, Mistake, Optional, SettingValue, quote};

impl SettingValue for Url {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        http_url(given.text()?)
    }

    fn expected((): &()) -> String {
        "an http or https URL".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(show_url(self)))
    }
}

impl Optional for Url {
    const EMPTY_IS_NONE: bool = true;
}

impl SettingValue for Vec<Url> {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn read(given: &Given, (): &()) -> Result<Self, Vec<Mistake>> {
        let texts = Vec::<String>::read(given, &())?;
        let (mut urls, mut mistakes) = (Self::new(), Vec::new());
        for text in texts {
            match http_url(&text) {
                Some(url) => urls.push(url),
                None => {
                    mistakes.push(Mistake::Message(format!("expected an http or https URL, found {}", quote(&text))))
                }
            }
        }
        if mistakes.is_empty() { Ok(urls) } else { Err(mistakes) }
    }

    fn parse(given: &Given, range: &()) -> Option<Self> {
        Self::read(given, range).ok()
    }

    fn expected((): &()) -> String {
        "a list of http or https URLs".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.iter().map(|url| Given::Text(show_url(url))).collect()))
    }
}

/// Reads an http or https URL with a host.
#[must_use]
pub fn http_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// A URL that stands in the source as a default.
#[allow(clippy::expect_used, reason = "the argument is a constant, and a test reads every default")]
#[must_use]
pub fn known_url(text: &'static str) -> Url {
    Url::parse(text).expect("a valid URL")
}

/// Stands in URLs where something is not shown; the URL must still read as one.
const HIDDEN_IN_URL: &str = "hidden";

/// A URL without its user, password and query.
fn show_url(url: &Url) -> String {
    let mut shown = url.clone();
    if !shown.username().is_empty() || shown.password().is_some() {
        let _ = shown.set_password(None);
        let _ = shown.set_username(HIDDEN_IN_URL);
    }
    if shown.query().is_some() {
        shown.set_query(Some(HIDDEN_IN_URL));
    }
    shown.to_string()
}
