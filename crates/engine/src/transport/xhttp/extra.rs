//! The part of XHTTP's `extra` object (with Xray's names) that a client uses.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use crate::{
    BuildError,
    transport::{
        http1::{sendable, token},
        http2_pool::Limits,
    },
};

/// The most bytes that one upload request carries, whatever the publisher allows: what waits for it lies in memory.
const MOST_POST: u32 = 256 * 1024;
/// The longest padding accepted, in bytes: heads longer than 8 KiB are refused by many servers.
const MOST_PADDING: u32 = 4096;
/// Requests that a connection carries in its life: fewer than the thousand after which nginx closes it.
const REQUESTS: u32 = 800;

/// Where a word is put into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query(String),
    Header(HeaderName),
    Cookie(String),
    /// As the only word in the query of an address in this header.
    Address(HeaderName, String),
}

/// The settings, with Xray's defaults for what is absent.
#[derive(Clone, Debug)]
pub(super) struct Extra {
    pub(super) headers: Vec<(Box<str>, Box<str>)>,
    /// The length of the padding.
    pub(super) padding: RangeInclusive<u32>,
    pub(super) padding_place: Place,
    /// Whether the padding looks like a token.
    pub(super) tokenish: bool,
    /// Whether streamed uploads call themselves gRPC.
    pub(super) grpc_header: bool,
    pub(super) method: Method,
    pub(super) session_place: Place,
    pub(super) sequence_place: Place,
    /// The letters and length of session ids; nothing = a UUID.
    pub(super) session_letters: Option<(Box<[u8]>, RangeInclusive<u32>)>,
    /// The bytes of one upload request, at most.
    pub(super) post: RangeInclusive<u32>,
    /// The pause between two of them, in milliseconds.
    pub(super) pause: RangeInclusive<u32>,
    pub(super) limits: Limits,
}

impl Extra {
    /// Reads the object. Settings for servers and unknown ones are ignored.
    ///
    /// # Errors
    /// [`BuildError`] for settings that this client does not implement.
    pub(super) fn read(text: Option<&str>) -> Result<Self, BuildError> {
        let value: Value = text.map_or(Ok(Value::Null), serde_json::from_str).unwrap_or_default();
        let empty = Map::new();
        let object = value.as_object().unwrap_or(&empty);
        let word = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let flag = |name: &str| object.get(name).is_some_and(|value| value == true || value == "true");
        if !matches!(word("uplinkDataPlacement"), "" | "auto" | "body") {
            return Err(BuildError::Unsupported("XHTTP's upload in headers"));
        }
        let method = match word("uplinkHTTPMethod").to_ascii_uppercase().as_str() {
            "" => Method::POST,
            other => Method::from_bytes(other.as_bytes()).unwrap_or(Method::POST),
        };
        let hidden = flag("xPaddingObfsMode");
        let padding = range(object.get("xPaddingBytes")).unwrap_or(100..=1000);
        let (from, to) = ((*padding.start()).min(MOST_PADDING), (*padding.end()).min(MOST_PADDING));
        let post = range(object.get("scMaxEachPostBytes")).unwrap_or(MOST_POST..=MOST_POST);
        Ok(Self {
            headers: headers(object.get("headers")),
            padding: from..=to,
            padding_place: if hidden { padding_place(object)? } else { address("Referer", "x_padding")? },
            tokenish: hidden && word("xPaddingMethod") == "tokenish",
            grpc_header: !flag("noGRPCHeader"),
            method,
            session_place: place(
                either(object, "sessionIDPlacement", "sessionPlacement"),
                either(object, "sessionIDKey", "sessionKey"),
                "session",
            )?,
            sequence_place: place(word("seqPlacement"), word("seqKey"), "seq")?,
            session_letters: letters(word("sessionIDTable"), object.get("sessionIDLength")),
            post: (*post.start()).min(MOST_POST)..=(*post.end()).min(MOST_POST),
            pause: range(object.get("scMinPostsIntervalMs")).unwrap_or(30..=30),
            limits: limits(object.get("xmux")),
        })
    }
}

/// The first of two names of one setting that is there.
fn either<'a>(object: &'a Map<String, Value>, new: &str, old: &str) -> &'a str {
    object.get(new).or_else(|| object.get(old)).and_then(Value::as_str).unwrap_or_default()
}

/// Reads a number, `"from-to"`, or an object of both; `None` when it is zero or malformed.
fn range(value: Option<&Value>) -> Option<RangeInclusive<u32>> {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let (from, to) = match value? {
        Value::String(text) => {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            (from.trim().parse().ok()?, to.trim().parse().ok()?)
        }
        Value::Object(object) => (number(object.get("from")?)?, number(object.get("to")?)?),
        value => (number(value)?, number(value)?),
    };
    (to > 0).then(|| from.min(to)..=from.max(to))
}

fn headers(value: Option<&Value>) -> Vec<(Box<str>, Box<str>)> {
    let pairs = value.and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.as_str().into(), value.as_str()?.into()))).collect()
}

fn header(name: &str) -> Result<HeaderName, BuildError> {
    name.parse().map_err(|_| BuildError::Invalid("a header in XHTTP's extra has an impossible name"))
}

fn address(name: &str, key: &str) -> Result<Place, BuildError> {
    Ok(Place::Address(header(name)?, key.to_owned()))
}

/// Where the session's id or a sequence number goes.
fn place(place: &str, key: &str, what: &str) -> Result<Place, BuildError> {
    let named = |default: String| if key.is_empty() { default } else { key.to_owned() };
    let place = match place {
        "" | "path" => return Ok(Place::Path),
        "query" => Place::Query(named(format!("x_{what}"))),
        "header" => Place::Header(header(&named(format!("X-{what}")))?),
        "cookie" => Place::Cookie(named(format!("x_{what}"))),
        _ => return Err(BuildError::Invalid("XHTTP's extra names an unknown place")),
    };
    checked(place)
}

/// Where padding goes that is not to look like padding.
fn padding_place(object: &Map<String, Value>) -> Result<Place, BuildError> {
    let word = |name: &str, default: &'static str| {
        object
            .get(name)
            .and_then(Value::as_str)
            .filter(|word| !word.is_empty())
            .map_or(default.to_owned(), str::to_owned)
    };
    let (key, name) = (word("xPaddingKey", "x_padding"), word("xPaddingHeader", "X-Padding"));
    let place = match word("xPaddingPlacement", "queryInHeader").as_str() {
        "cookie" => Place::Cookie(key),
        "header" => Place::Header(header(&name)?),
        "query" => Place::Query(key),
        "queryInHeader" => Place::Address(header(&name)?, key),
        _ => return Err(BuildError::Invalid("XHTTP's extra names an unknown place")),
    };
    checked(place)
}

/// Names that are put into a query or a cookie must not break it apart.
fn checked(place: Place) -> Result<Place, BuildError> {
    match &place {
        Place::Query(key) | Place::Cookie(key) | Place::Address(_, key)
            if !token(key) || key.contains(['&', '#', '%']) =>
        {
            Err(BuildError::Invalid("XHTTP's extra has an impossible key"))
        }
        _ => Ok(place),
    }
}

fn letters(table: &str, length: Option<&Value>) -> Option<(Box<[u8]>, RangeInclusive<u32>)> {
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const DIGITS: &str = "0123456789";
    let table = match table {
        "" => return None,
        "ALPHABET" => UPPER.to_owned(),
        "alphabet" => LOWER.to_owned(),
        "Alphabet" => UPPER.to_owned() + LOWER,
        "BASE36" => DIGITS.to_owned() + UPPER,
        "base36" => DIGITS.to_owned() + LOWER,
        "Base62" => DIGITS.to_owned() + UPPER + LOWER,
        "HEX" => "0123456789ABCDEF".to_owned(),
        "hex" => "0123456789abcdef".to_owned(),
        "number" => DIGITS.to_owned(),
        own => own.bytes().filter(u8::is_ascii_alphanumeric).map(char::from).collect(),
    };
    let length = range(length)?;
    (!table.is_empty() && *length.end() <= 256).then(|| (table.into_bytes().into(), length))
}

/// What `xmux` says about connections. Where it gives a range, its upper end.
fn limits(xmux: Option<&Value>) -> Limits {
    let upper = |name: &str| range(xmux.and_then(|xmux| xmux.get(name))).map(|range| *range.end());
    let default = Limits::default();
    Limits {
        slots: upper("maxConcurrency").unwrap_or(default.slots),
        uses: upper("hMaxRequestTimes").unwrap_or(REQUESTS),
        age: upper("hMaxReusableSecs").map(|seconds| Duration::from_secs(seconds.into())),
        ..default
    }
}

/// A header that can be sent.
pub(super) fn pair(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, HeaderValue::from_str(value).ok().filter(|_| sendable(value))?))
}
