//! What a request asks of an XHTTP server (as Xray's clients write it): path, session, sequence number, padding.

use std::ops::RangeInclusive;

use http::{Method, Request, header};

use crate::transport::{
    http_server::{is_for_host, text},
    http1,
};

/// The shortest and longest padding of a request, in bytes (Xray's defaults).
const PADDING: RangeInclusive<usize> = 100..=1000;
/// The longest session id, in bytes.
const MOST_SESSION: usize = 256;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// One request for both directions.
    Both,
    /// The download of a session.
    Download { session: Box<str> },
    /// The whole upload of a session. Only newer clients want padding in its answer.
    Upload { session: Box<str>, padded: bool },
    /// One piece of the upload.
    Piece { session: Box<str>, number: u64 },
    /// A browser asks whether it may send a request from another page.
    Preflight,
}

/// Where a server expects its clients.
#[derive(Debug)]
pub(super) struct Location {
    /// The path in front of the session, with a slash at its end.
    path: String,
    /// The only host that is asked for.
    host: Option<Box<str>>,
}

impl Location {
    /// A query behind the path is the client's affair.
    pub(super) fn new(path: &str, host: Option<&str>) -> Self {
        let mut path = http1::path(path.split_once('?').map_or(path, |(path, _)| path));
        if !path.ends_with('/') {
            path.push('/');
        }
        Self { path, host: host.filter(|host| !host.is_empty()).map(Box::from) }
    }

    /// What is asked for; `None` when the request is no client's.
    pub(super) fn read(&self, request: &Request<()>) -> Option<Asked> {
        let rest = request.uri().path().strip_prefix(self.path.as_str())?;
        if self.host.as_deref().is_some_and(|host| !is_for_host(request, host)) {
            return None;
        }
        if request.method() == Method::OPTIONS {
            return Some(Asked::Preflight);
        }
        if !PADDING.contains(&padding(request)?) {
            return None;
        }
        let mut words = rest.split('/');
        let session: Box<str> = words.next().unwrap_or_default().into();
        let number = words.next().filter(|word| !word.is_empty());
        if session.len() > MOST_SESSION || matches!(*request.method(), Method::HEAD | Method::CONNECT | Method::TRACE) {
            return None;
        }
        match (session.is_empty(), number) {
            (true, None) if request.method() != Method::GET => Some(Asked::Both),
            (true, _) => None,
            (false, Some(number)) => Some(Asked::Piece { session, number: number.parse().ok()? }),
            (false, None) if request.method() == Method::GET => Some(Asked::Download { session }),
            (false, None) => {
                let padded = request.headers().contains_key(header::REFERER);
                Some(Asked::Upload { session, padded })
            }
        }
    }
}

/// How long the padding of a request is: the only word of a query, in the Referer's address or in the request's own.
fn padding(request: &Request<()>) -> Option<usize> {
    let query = match text(request.headers(), &header::REFERER) {
        Some(referer) => referer.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default()),
        None => request.uri().query(),
    };
    query?.split('&').find_map(|pair| pair.strip_prefix("x_padding=")).map(str::len)
}
