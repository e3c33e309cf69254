//! Reads what a provider says about a subscription: the traffic that is left, when it ends, its title.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hezar_core::{Label, Timestamp};
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

/// The longest text of one of these headers that is looked at, in bytes.
const MAX_VALUE_BYTES: usize = 1024;

/// The lines at the start of a plain list in which the same fields may stand as comments.
const COMMENT_LINES: usize = 20;

/// The fields that panels send as response headers, and some lists as comments (`#profile-title: …`).
const FIELDS: [&str; 5] =
    ["subscription-userinfo", "profile-title", "profile-update-interval", "profile-web-page-url", "support-url"];

/// What a subscription's headers say, as the clients v2rayN, Clash and Hiddify read them. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionInfo {
    /// The subscription's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Box<str>>,
    /// Bytes sent so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<u64>,
    /// Bytes received so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<u64>,
    /// Bytes that may be used in all. Panels say 0 where there is no limit; then it is absent here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// When the subscription ends, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// How often the provider wants to be asked, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_interval_seconds: Option<u64>,
    /// The provider's page for this subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_page: Option<Box<str>>,
    /// Where the provider can be asked for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support: Option<Box<str>>,
}

impl SubscriptionInfo {
    /// Reads an answer's headers and, for what they lack, the comments at the start of its body.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let mut info = Self::default();
        for field in FIELDS {
            let value = headers.get(field).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            if let Some(value) =
                value.or_else(|| comment_value(body, field)).filter(|value| value.len() <= MAX_VALUE_BYTES)
            {
                info.set(field, value.trim());
            }
        }
        (info != Self::default()).then_some(info)
    }

    /// The bytes that are left, when there is a limit.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        let used = self.upload.unwrap_or(0).saturating_add(self.download.unwrap_or(0));
        self.total.map(|total| total.saturating_sub(used))
    }

    /// When the subscription ends.
    #[must_use]
    pub const fn expires(&self) -> Option<Timestamp> {
        match self.expires_ms {
            Some(at) => Some(Timestamp(at)),
            None => None,
        }
    }

    /// Reads [`SubscriptionInfo::to_text`]; a text that is none says nothing.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// One line of text for the store.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn set(&mut self, field: &str, value: &str) {
        match field {
            "subscription-userinfo" => self.set_usage(value),
            "profile-title" => self.title = displayable_title(&decoded_title(value)),
            "profile-update-interval" => {
                let hours = value.parse::<f64>().ok().filter(|hours| (0.01..=100_000.0).contains(hours));
                self.update_interval_seconds = hours.map(|hours| Duration::from_secs_f64(hours * 3600.0).as_secs());
            }
            "profile-web-page-url" => self.web_page = web_address(value),
            _ => self.support = web_address(value),
        }
    }

    /// `upload=1; download=2; total=3; expire=1700000000`. Some panels send fractions, or `expire=` without a number.
    fn set_usage(&mut self, value: &str) {
        for (key, number) in value.split([';', ',']).filter_map(|part| part.split_once('=')) {
            let number = parse_whole(number.trim());
            match key.trim().to_ascii_lowercase().as_str() {
                "upload" => self.upload = number,
                "download" => self.download = number,
                "total" => self.total = number.filter(|total| *total > 0),
                "expire" => {
                    // A time in milliseconds instead of seconds lies beyond the year 5000 when it is read as seconds.
                    let seconds = number.filter(|time| *time > 0);
                    self.expires_ms = seconds.map(|time| if time > 100_000_000_000 { time } else { time * 1000 });
                }
                _ => {}
            }
        }
    }
}

/// A number of bytes or seconds, also when it is written with a fraction.
fn parse_whole(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| {
        let number = text.parse::<f64>().ok().filter(|number| (0.0..=9e18).contains(number))?;
        format!("{number:.0}").parse().ok()
    })
}

/// A title: plain, `base64:…`, or percent-encoded UTF-8.
fn decoded_title(value: &str) -> String {
    if let Some(encoded) = value.strip_prefix("base64:")
        && let Ok(bytes) = STANDARD.decode(encoded.trim())
    {
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    match percent_decode_str(value).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => value.to_owned(),
    }
}

/// A stranger's text as it may be shown: cleaned and shortened as a node's name is.
fn displayable_title(text: &str) -> Option<Box<str>> {
    let label = Label::new(text);
    Some(label.as_str()).filter(|text| !text.is_empty()).map(Into::into)
}

/// A web address that may be shown as a link.
fn web_address(value: &str) -> Option<Box<str>> {
    let url = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https" | "tg" | "mailto"))?;
    Some(url.as_str().into())
}

/// The value of a field that stands as a comment at the start of a list.
fn comment_value(body: &[u8], field: &str) -> Option<String> {
    let lines = body.split(|byte| *byte == b'\n').take(COMMENT_LINES);
    lines.filter(|line| line.len() <= MAX_VALUE_BYTES).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?.trim();
        let rest = line.strip_prefix('#').or_else(|| line.strip_prefix("//"))?;
        let (name, value) = rest.split_once(':')?;
        name.trim().eq_ignore_ascii_case(field).then(|| value.trim().to_owned())
    })
}
