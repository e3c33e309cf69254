//! The types of values that only sources have.

use hezar_core::{
    Secret,
    settings::{Given, Mistake, Optional, SettingValue, http_url},
};
use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use crate::config::redact::{self, HIDDEN};

/// The URL of a list, possibly with date placeholders. Subscriptions have their password or token in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceUrl(pub Secret);

impl SettingValue for SourceUrl {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        given.text().filter(|text| is_url_template(text)).map(|text| Self(text.into()))
    }

    fn expected((): &()) -> String {
        "an http or https URL".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(redact::source_url(self.0.expose())))
    }
}

impl Optional for SourceUrl {}

/// Placeholders in braces are filled in at the time of the fetch; the rest must be a URL.
fn is_url_template(text: &str) -> bool {
    let text = text.strip_prefix("ssconf://").map_or_else(|| text.to_owned(), |rest| format!("https://{rest}"));
    Url::parse(&text.replace(['{', '}'], "")).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The address of another instance's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceUrl(pub Url);

impl SettingValue for InstanceUrl {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let url = http_url(given.text()?)?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        (is_plain && url.fragment().is_none()).then_some(Self(url))
    }

    fn expected((): &()) -> String {
        "an http or https URL without a name, password or parameters, such as \"https://other.example:9090\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.0.to_string()))
    }
}

impl Optional for InstanceUrl {}

/// An address of the feed of the instance at `base`.
pub(crate) fn feed_url(base: &Url, more: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v1", "feed"]).extend(more);
    }
    url
}

/// A repository of GitHub: `owner/repo`, or its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Whose it is.
    pub owner: String,
    /// Its name.
    pub repo: String,
}

impl SettingValue for Repository {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let (owner, repo) = given.text()?.trim_start_matches("https://github.com/").split_once('/')?;
        let good = |part: &str| {
            (1..=100).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        (good(owner) && good(repo)).then(|| Self { owner: owner.to_owned(), repo: repo.to_owned() })
    }

    fn expected((): &()) -> String {
        "\"owner/repo\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(format!("{}/{}", self.owner, self.repo)))
    }
}

impl Optional for Repository {}

/// The name of a public Telegram channel, also given as `@name` or by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel(pub String);

impl SettingValue for Channel {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        let name = ["https://t.me/s/", "https://t.me/", "t.me/", "@"]
            .iter()
            .find_map(|start| text.strip_prefix(start))
            .unwrap_or(text)
            .trim_end_matches('/');
        let good = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        good.then(|| Self(name.to_owned()))
    }

    fn expected((): &()) -> String {
        "the name of a public channel, such as \"my_channel\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.0.clone()))
    }
}

impl Optional for Channel {}

/// Share links, which hold passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links(pub Vec<Secret>);

impl SettingValue for Links {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let links = Vec::<String>::parse(given, &())?;
        Some(Self(links.into_iter().map(Secret::new).collect()))
    }

    fn expected((): &()) -> String {
        "a list of texts".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.0.iter().map(|_| Given::Text(HIDDEN.to_owned())).collect()))
    }
}

impl Optional for Links {}

/// Request headers by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Secret)>);

impl SettingValue for Headers {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["object"];

    fn read(given: &Given, range: &()) -> Result<Self, Vec<Mistake>> {
        let headers = Self::parse(given, range).ok_or_else(|| vec![Mistake::Expected(Self::expected(range))])?;
        let is_good = |name: &str, value: &Secret| {
            HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value.expose()).is_ok()
        };
        let bad = headers.0.iter().filter(|(name, value)| !is_good(name, value));
        let mistake = |(name, _): &(String, Secret)| {
            Mistake::Message(format!(
                "{name:?} cannot be sent as a header: its name or its value has characters that HTTP does not allow"
            ))
        };
        let mistakes: Vec<Mistake> = bad.map(mistake).collect();
        if mistakes.is_empty() { Ok(headers) } else { Err(mistakes) }
    }

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let Given::Table(pairs) = given else { return None };
        let pair = |(name, value): &(String, Given)| Some((name.clone(), Secret::new(value.text()?)));
        pairs.iter().map(pair).collect::<Option<Vec<_>>>().map(Self)
    }

    fn expected((): &()) -> String {
        "a table of texts".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let pair = |(name, _): &(String, Secret)| (name.clone(), Given::Text(HIDDEN.to_owned()));
        Some(Given::Table(self.0.iter().map(pair).collect()))
    }
}

/// The scheme of bare `ip:port` lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BareScheme(pub &'static str);

impl SettingValue for BareScheme {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        Self::choices().into_iter().find(|name| *name == text).map(Self)
    }

    fn expected((): &()) -> String {
        "http, socks4, socks4a or socks5".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.0.to_owned()))
    }

    fn choices() -> Vec<&'static str> {
        vec!["http", "socks4", "socks4a", "socks5"]
    }
}

impl Optional for BareScheme {}
