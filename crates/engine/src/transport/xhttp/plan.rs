//! The heads of XHTTP's requests: path, session, sequence number, padding.
//!
//! ```text
//! download: GET  {path}/{session}                      stream-up, packet-up
//! upload:   POST {path}/{session}        body …        stream-up
//!           POST {path}/{session}/{seq}  body          packet-up; seq = 0, 1, 2 …
//! both:     POST {path}/                 body …        stream-one
//! each with Referer: {scheme}://{host}{path}/?x_padding=XXX…
//! ```

use std::ops::RangeInclusive;

use hezar_core::{Host, Xhttp};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use uuid::Uuid;

use super::extra::{Extra, Place, pair};
use crate::{
    BuildError,
    transport::{http1::Words, http2_pool},
};

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'a> {
    /// One request for both directions.
    Both,
    /// The download of a session.
    Download { session: &'a str },
    /// The whole upload of a session.
    Upload { session: &'a str },
    /// One piece of the upload.
    Piece { session: &'a str, number: u64, length: usize },
}

/// The parts of the heads.
#[derive(Debug)]
pub(super) struct Plan {
    secure: bool,
    authority: String,
    path: String,
    query: String,
    headers: HeaderMap,
    pub(super) extra: Extra,
}

impl Plan {
    /// Prepares them. The host is the published one, else the name that the security layer uses, else the server's.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when HTTP cannot carry them.
    pub(super) fn new(
        settings: &Xhttp,
        extra: Extra,
        sni: Option<&str>,
        server: &Host,
        secure: bool,
    ) -> Result<Self, BuildError> {
        const OURS: [&str; 5] = ["content-length", "transfer-encoding", "connection", "te", "upgrade"];
        let (path, query) = settings.path.split_once('?').unwrap_or((&settings.path, ""));
        let words = Words::new(path, settings.host.as_deref(), &extra.headers, sni, server, &OURS);
        let mut path = words.path;
        // Also when nothing follows: older servers know no path without it, and newer ones take both.
        if !path.ends_with('/') {
            path.push('/');
        }
        // The same check that each request's address will go through.
        let checked = http2_pool::request("GET", secure, &[Some(&words.host)], server, &path)?;
        let authority = checked.uri().authority().map(ToString::to_string).unwrap_or_default();
        let query = crate::transport::http1::path(query).trim_start_matches('/').to_owned();
        let headers = words.headers.iter().filter_map(|(name, value)| pair(name, value)).collect();
        Ok(Self { secure, authority, path, query, headers, extra })
    }

    /// A new session's id.
    pub(super) fn session(&self) -> String {
        match &self.extra.session_letters {
            None => Uuid::new_v4().to_string(),
            Some((letters, length)) => (0..random_in(length)).map(|_| char::from(random_letter(letters))).collect(),
        }
    }

    /// A request's head. `whole` addresses have scheme and host, as HTTP/2 needs them.
    pub(super) fn head(&self, purpose: Purpose<'_>, whole: bool) -> Request<()> {
        let extra = &self.extra;
        let (mut path, mut query) = (self.path.clone(), self.query.clone());
        let (mut headers, mut cookies) = (self.headers.clone(), Vec::new());
        let padding = self.padding();
        let mut put = |place: &Place, value: &str| match place {
            Place::Path => {
                if !path.ends_with('/') {
                    path.push('/');
                }
                path.push_str(value);
            }
            Place::Query(key) => {
                if !query.is_empty() {
                    query.push('&');
                }
                query.extend([key, "=", value]);
            }
            Place::Header(name) => insert(&mut headers, name, value),
            Place::Cookie(key) => cookies.push(format!("{key}={value}")),
            Place::Address(name, key) => {
                let address = format!("{}{}?{key}={value}", self.origin(), self.path);
                insert(&mut headers, name, &address);
            }
        };
        put(&extra.padding_place, &padding);
        let method = match purpose {
            Purpose::Both => extra.method.clone(),
            Purpose::Download { session } => {
                put(&extra.session_place, session);
                Method::GET
            }
            Purpose::Upload { session } => {
                put(&extra.session_place, session);
                extra.method.clone()
            }
            Purpose::Piece { session, number, .. } => {
                put(&extra.session_place, session);
                put(&extra.sequence_place, &number.to_string());
                extra.method.clone()
            }
        };
        if !cookies.is_empty() {
            insert(&mut headers, &header::COOKIE, &cookies.join("; "));
        }
        match purpose {
            Purpose::Both | Purpose::Upload { .. } if extra.grpc_header => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            }
            Purpose::Piece { length, .. } => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            _ => {}
        }
        if !whole {
            insert(&mut headers, &header::HOST, &self.authority);
        }
        let origin = if whole { self.origin() } else { String::new() };
        let question = if query.is_empty() { "" } else { "?" };
        let mut request = Request::new(());
        *request.method_mut() = method;
        // The parts were checked when the plan was made; what is put into them is letters and digits.
        *request.uri_mut() = format!("{origin}{path}{question}{query}").parse::<Uri>().unwrap_or_default();
        *request.headers_mut() = headers;
        request
    }

    fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }

    /// New padding.
    fn padding(&self) -> String {
        let length = random_in(&self.extra.padding);
        if !self.extra.tokenish {
            // `X` stays eight bits long under HPACK's Huffman code.
            return "X".repeat(length as usize);
        }
        let (mut token, mut bits) = (String::new(), 0);
        while bits < length * 8 {
            let letter = random_letter(LETTERS);
            token.push(char::from(letter));
            bits += huffman_bits(letter);
        }
        token
    }
}

const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How long a letter or digit is in HPACK's Huffman code (RFC 7541 B).
const fn huffman_bits(letter: u8) -> u32 {
    match letter {
        b'0'..=b'2' | b'a' | b'c' | b'e' | b'i' | b'o' | b's' | b't' => 5,
        b'3'..=b'9' | b'A' | b'b' | b'd' | b'f'..=b'h' | b'l'..=b'n' | b'p' | b'r' | b'u' => 6,
        b'X' | b'Z' => 8,
        _ => 7,
    }
}

fn insert(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A random number in the range.
pub(super) fn random_in(range: &RangeInclusive<u32>) -> u32 {
    rand::random_range(range.clone())
}

fn random_letter(letters: &[u8]) -> u8 {
    letters.get(rand::random_range(0..letters.len().max(1))).copied().unwrap_or(b'X')
}
