//! The description of a source: where nodes are published and how to ask for them.

use std::{sync::Arc, time::Duration};

use hezar_core::{
    Secret,
    settings::{Given, SettingValue},
};

use crate::document::digest;

/// A place where nodes are published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// One document behind `http`, `https` or `ssconf` (which is `https`). Dates in braces are filled in, see
    /// [`expand_dates`](crate::expand_dates). The URL may hold a token.
    Url(Secret),
    /// A file, or all files that a pattern matches (`*`, `?`, `[…]`, `**`).
    File(Box<str>),
    /// Links written in the configuration.
    Inline(Vec<Secret>),
    /// Files of a GitHub repository.
    GitHub {
        /// `owner/repository`.
        repository: Box<str>,
        /// A branch, tag or commit; the default branch when absent.
        reference: Option<Box<str>>,
        /// Which files: patterns on the path, or on the name alone when a pattern has no `/`. None means the usual
        /// endings of lists.
        patterns: Vec<Box<str>>,
        /// Raises the rate limit from 60 to 5000 requests an hour, and opens private repositories.
        token: Option<Secret>,
    },
    /// The web preview of a public Telegram channel.
    Telegram {
        /// Its name, with or without `@` or `https://t.me/`.
        channel: Box<str>,
        /// How many pages of about twenty messages are read, 1 to [`SourceSpec::MAX_PAGES`].
        pages: u32,
    },
}

impl SourceKind {
    /// The kind's name in the store, in metrics and in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::File(_) => "file",
            Self::Inline(_) => "inline",
            Self::GitHub { .. } => "github",
            Self::Telegram { .. } => "telegram",
        }
    }
}

/// What carries the fetch. The fetcher is handed a dialer; this tells the caller which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// This machine's own sockets.
    #[default]
    Direct,
    /// A healthy node of the pool: sites with lists are often blocked.
    Pool,
    /// This machine's own sockets, and a node of the pool when nothing useful comes that way. Over nodes only what is
    /// protected by TLS: a node is a stranger, who would see a token in a plain URL and could change the list.
    Auto,
}

impl Via {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Pool => "pool",
            Self::Auto => "auto",
        }
    }

    /// The way with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Direct, Self::Pool, Self::Auto].into_iter().find(|way| way.name() == name)
    }
}

impl SettingValue for Via {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        Self::parse(given.text()?)
    }

    fn expected((): &()) -> String {
        "\"auto\", \"direct\" or \"pool\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.name().to_owned()))
    }

    fn choices() -> Vec<&'static str> {
        [Self::Auto, Self::Direct, Self::Pool].map(Self::name).to_vec()
    }
}

/// One source with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// Its name, unique in the configuration.
    pub name: Arc<str>,
    /// What and where it is.
    pub kind: SourceKind,
    /// The pause between two fetches.
    pub interval: Duration,
    /// Sent as `User-Agent`; subscription panels choose the format by it. The fetcher's own when absent.
    pub user_agent: Option<Box<str>>,
    /// More request headers for a [`SourceKind::Url`]. They are not sent on to another host.
    pub headers: Vec<(Box<str>, Secret)>,
    /// The most bytes of one document, after decompression.
    pub max_bytes: u64,
    /// The most documents of one fetch.
    pub max_files: usize,
    /// What carries the fetch.
    pub via: Via,
    /// Whether its nodes (and itself) may have private addresses. The caller chooses the dialer by it.
    pub allow_private: bool,
    /// Whether it is read again as soon as it changes: then not every fetch is worth a line of the log.
    pub is_followed: bool,
}

impl SourceSpec {
    /// A fingerprint of what and where it is: another one means that it has to be read again.
    #[must_use]
    pub fn origin(&self) -> Box<str> {
        format!("{:016x}", digest(&self.kind)).into()
    }

    /// The most pages that are read of one channel.
    pub const MAX_PAGES: u32 = 100;

    /// A source with the usual settings: every 30 minutes, 32 MiB a document, 200 documents, direct, public only.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: SourceKind) -> Self {
        Self {
            name: name.into(),
            kind,
            interval: Duration::from_secs(30 * 60),
            user_agent: None,
            headers: Vec::new(),
            max_bytes: 32 * 1024 * 1024,
            max_files: 200,
            via: Via::Direct,
            allow_private: false,
            is_followed: false,
        }
    }
}
