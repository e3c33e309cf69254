//! Splits `scheme://userinfo@host:port/path?query#name` leniently, in the order that published links need.

pub(crate) mod query;

use std::borrow::Cow;

use hezar_core::{Host, Label, Target};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

use self::query::Query;
use crate::{RejectCode, charset, field};

/// What `encodeURIComponent` leaves alone, minus the signs that Markdown and HTML readers trip over.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one component.
pub(crate) fn escape(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// Decodes `%XX` once; `+` stays `+`, because base64 values are published unescaped.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The name behind `#`.
pub(crate) fn label(fragment: &str) -> Label {
    let bytes: Cow<'_, [u8]> = percent_decode_str(fragment).into();
    Label::new(&charset::decode(&bytes))
}

/// A link without its scheme, in parts that are still escaped.
#[derive(Debug)]
pub(crate) struct Uri<'a> {
    /// Before the last `@`.
    pub(crate) userinfo: Option<&'a str>,
    /// Everything between userinfo and query.
    pub(crate) authority: &'a str,
    /// The server's host, brackets included.
    pub(crate) host: &'a str,
    /// The text behind the host's colon; empty when there is none.
    pub(crate) port: &'a str,
    /// From the first slash behind the authority.
    pub(crate) path: &'a str,
    /// The parameters.
    pub(crate) query: Query<'a>,
    /// Behind the first `#`.
    pub(crate) fragment: &'a str,
}

impl<'a> Uri<'a> {
    /// Splits what follows `://`: first `#`, then first `?`, then last `@`.
    pub(crate) fn split(body: &'a str) -> Self {
        let (head, fragment) = body.split_once('#').unwrap_or((body, ""));
        let (head, query) = head.split_once('?').unwrap_or((head, ""));
        let (userinfo, authority) = match head.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, head),
        };
        Self::assemble(userinfo, authority, query, fragment)
    }

    /// As [`Uri::split`], for links whose password may hold a raw `#` or `?`: when there is no server in front of the
    /// first of them, the first `@host:port` behind it is taken. `user:1234#…` is a server only if nothing else is.
    pub(crate) fn split_password(body: &'a str) -> Self {
        let uri = Self::split(body);
        let firm = |target: Target| is_address(&target.host().to_string()) || target.host().to_string().contains('.');
        // An `@` inside the password is followed by a word, not by a server.
        let has_server = match uri.userinfo {
            Some(_) => !uri.port.is_empty() || is_address(uri.host) || uri.host.contains('.'),
            None => Target::parse(uri.authority.trim_end_matches('/')).is_ok_and(firm),
        };
        if has_server {
            return uri;
        }
        let server_end = |rest: &str| rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let found = body.match_indices('@').take(8).find(|(at, _)| {
            let rest = &body[at + 1..];
            Target::parse(&rest[..server_end(rest)]).is_ok()
        });
        let Some((at, _)) = found else { return uri };
        let mut uri = Self::split(&body[at + 1..]);
        uri.userinfo = Some(&body[..at]);
        uri
    }

    fn assemble(userinfo: Option<&'a str>, authority: &'a str, query: &'a str, fragment: &'a str) -> Self {
        let (mut server, path) = match authority.find('/') {
            Some(slash) => authority.split_at(slash),
            None => (authority, ""),
        };
        let mut query = query;
        // The publisher has omitted the `?`.
        if let Some((front, rest)) = server.split_once('&') {
            server = front;
            if query.is_empty() {
                query = rest;
            }
        }
        let server = server.trim();
        let (host, port) = match server.rfind(']') {
            Some(end) => (&server[..=end], server[end + 1..].strip_prefix(':').unwrap_or_default()),
            None => server.rsplit_once(':').unwrap_or((server, "")),
        };
        Self { userinfo, authority, host, port, path, query: Query::parse(query), fragment }
    }

    /// The server.
    pub(crate) fn server(&self) -> Result<Target, RejectCode> {
        server(self.host, self.port)
    }

    /// The server; a missing port is `default`.
    pub(crate) fn server_or(&self, default: &str) -> Result<Target, RejectCode> {
        server(self.host, if self.port.is_empty() { default } else { self.port })
    }

    /// The name; Shadowrocket has it in a parameter.
    pub(crate) fn label(&self) -> Label {
        match self.query.get(&["remarks", "remark"]) {
            name if self.fragment.is_empty() => Label::new(name),
            _ => label(self.fragment),
        }
    }

    /// The userinfo, decoded; empty when absent.
    pub(crate) fn user(&self) -> Cow<'a, str> {
        unescape(self.userinfo.unwrap_or_default())
    }

    /// The user and the password, which the first `:` parts, decoded; empty when absent.
    pub(crate) fn login(&self) -> (Cow<'a, str>, Cow<'a, str>) {
        let userinfo = self.userinfo.unwrap_or_default();
        let (username, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        (unescape(username), unescape(password))
    }

    /// The userinfo, decoded; absent or empty is a refusal.
    pub(crate) fn required_user(&self) -> Result<Cow<'a, str>, RejectCode> {
        match self.userinfo {
            None | Some("") => Err(RejectCode::BadCredential),
            Some(text) => Ok(unescape(text)),
        }
    }
}

/// A host and a port as published: a stray backslash, quote or comma behind the port is forgiven.
pub(crate) fn server(host: &str, port: &str) -> Result<Target, RejectCode> {
    let port = port.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '\\' | '"' | '\'' | '='));
    if host.contains('%') {
        return field::server(&unescape(host), port);
    }
    field::server(host, port)
}

/// Whether a text is an IP address, brackets allowed.
pub(crate) fn is_address(host: &str) -> bool {
    matches!(Host::new(host), Ok(Host::Ip(_)))
}

#[cfg(test)]
mod tests;
