//! The errors of a fetch; each text says what to do about it.

use std::{io, path::PathBuf};

use hezar_core::{CodeDoc, Timestamp};
use hezar_engine::{DialError, http::RequestError};
use thiserror::Error;

use crate::content::ContentError;

/// A failed fetch. The text says what to do; it never holds a URL, whose path or query may be a token.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL cannot be asked for.
    #[error("the URL cannot be used: {0}")]
    Url(#[from] RequestError),
    /// The exchange failed; the code is that of the cause.
    #[error("{host} could not be asked: {source}")]
    Exchange {
        /// Whom was asked.
        host: Box<str>,
        /// Why it failed.
        source: DialError,
    },
    /// The server answered with a status that is no list.
    #[error("{host} answered with HTTP status {status}{}", status_hint(*status))]
    Status {
        /// Who answered.
        host: Box<str>,
        /// What.
        status: u16,
    },
    /// The server asks to come back later.
    #[error("{host} limits how often it may be asked; it is asked again later (a token raises GitHub's limit)")]
    RateLimited {
        /// Who.
        host: Box<str>,
        /// When it may be asked again.
        until: Timestamp,
    },
    /// There is more than `max_bytes`.
    #[error("the content is longer than {limit} bytes; raise max_bytes if that is what you want")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// There is nothing in it.
    #[error("the content is empty")]
    Empty,
    /// Redirected again and again.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit.
        limit: usize,
    },
    /// A redirect that leads nowhere.
    #[error("a redirect to nowhere: its Location is missing or is no http or https URL")]
    BadRedirect,
    /// A redirect to a link-local address.
    #[error("a redirect to a link-local address is not followed")]
    LinkLocal,
    /// A redirect from https to http.
    #[error("a redirect from https to http is not followed; use the http URL if you trust the way to it")]
    Downgrade,
    /// The content is compressed in a way that is unknown or damaged.
    #[error("the content cannot be decompressed ({encoding})")]
    Encoding {
        /// What the server says it is.
        encoding: Box<str>,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pattern is not one.
    #[error("the pattern {pattern:?} is not one: {reason}")]
    Pattern {
        /// The pattern.
        pattern: Box<str>,
        /// Why not.
        reason: &'static str,
    },
    /// No file fits.
    #[error("no file fits {pattern:?}")]
    NoMatch {
        /// The pattern or patterns.
        pattern: Box<str>,
    },
    /// The repository or channel has a name that cannot be.
    #[error("{name:?} is no {what}")]
    Name {
        /// The name.
        name: Box<str>,
        /// What it should be.
        what: &'static str,
    },
    /// The API answered with something else than its documentation says.
    #[error("{host} answered with something unexpected: {reason}")]
    Api {
        /// Who answered.
        host: Box<str>,
        /// What is wrong.
        reason: &'static str,
    },
    /// The channel's page shows no messages.
    #[error("the channel {channel:?} shows no messages; is it public, with the preview enabled?")]
    NoMessages {
        /// The channel.
        channel: Box<str>,
    },
    /// All of it took too long.
    #[error("reading the files took too long")]
    Deadline,
}

impl FetchError {
    /// Every code of its own with its meaning, for docs/errors.md. [`FetchError::Exchange`] has those of the engine.
    pub const CODES: &'static [CodeDoc] = &[
        CodeDoc::new("bad-url", "The source's URL is not one, or not http, https or ssconf."),
        CodeDoc::new("http-status", "The source's server answered with a status other than success."),
        CodeDoc::new("rate-limited", "The source's server asks to come back later; it is, at the time it names."),
        CodeDoc::new("too-large", "The source's content is longer than max_bytes, after decompression."),
        CodeDoc::new("empty", "The source's content is empty."),
        CodeDoc::new("too-many-redirects", "The source's server redirects again and again."),
        CodeDoc::new("bad-redirect", "The source's server redirects to nowhere."),
        CodeDoc::new("redirect-link-local", "The source's server redirects to a link-local address."),
        CodeDoc::new("redirect-downgrade", "The source's server redirects from https to http."),
        CodeDoc::new("source-encoding", "The source's content is compressed in an unknown way, or is damaged."),
        CodeDoc::new("file", "A file of the source cannot be read; the reason is in the text."),
        CodeDoc::new("bad-pattern", "A pattern for files is not one."),
        CodeDoc::new("no-file", "No file fits the source's pattern."),
        CodeDoc::new("bad-name", "The name of a repository or channel cannot be one."),
        CodeDoc::new("bad-api-answer", "An API answered with something else than its documentation says."),
        CodeDoc::new("no-messages", "The channel's public page shows no messages."),
        CodeDoc::new("file-timeout", "Reading the source's files took too long."),
    ];

    /// The stable code: one of [`FetchError::CODES`], or of [`hezar_engine::Cause::CODES`] for a failed exchange.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "bad-url",
            Self::Exchange { source, .. } => source.code(),
            Self::Status { .. } => "http-status",
            Self::RateLimited { .. } => "rate-limited",
            Self::TooLarge { .. } => "too-large",
            Self::Empty => "empty",
            Self::TooManyRedirects { .. } => "too-many-redirects",
            Self::BadRedirect => "bad-redirect",
            Self::LinkLocal => "redirect-link-local",
            Self::Downgrade => "redirect-downgrade",
            Self::Encoding { .. } => "source-encoding",
            Self::File { .. } => "file",
            Self::Pattern { .. } => "bad-pattern",
            Self::NoMatch { .. } => "no-file",
            Self::Name { .. } => "bad-name",
            Self::Api { .. } => "bad-api-answer",
            Self::NoMessages { .. } => "no-messages",
            Self::Deadline => "file-timeout",
        }
    }

    /// The failure to undo the compression of content of at most `limit` bytes.
    pub(crate) fn content(error: ContentError, limit: u64) -> Self {
        match error {
            ContentError::TooLarge => Self::TooLarge { limit },
            ContentError::Encoding(encoding) => Self::Encoding { encoding },
        }
    }

    /// When the source may be asked again, if it said so.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::RateLimited { until, .. } => Some(*until),
            _ => None,
        }
    }
}

const fn status_hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; check its token, or the User-Agent that it expects",
        404 | 410 => "; the list has moved or is gone",
        500..=599 => "; it is tried again",
        _ => "",
    }
}
