//! One `[[source]]`: where it is, how often it is read, and what may be in it.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_core::{Secret, settings::ByteCount};
use hezar_fetch::{FetchConfig, Via};
use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use super::{resolve::beside, section::Section};

/// The source that lists the nodes that were added by hand. No configured source may have this name.
pub const MANUAL: &str = "manual";
/// The source of those on private addresses, which whoever added them has allowed.
pub const MANUAL_PRIVATE: &str = "manual-private";
/// The names of sources that are in no configuration.
pub const MANUAL_SOURCES: [&str; 2] = [MANUAL, MANUAL_PRIVATE];

/// How often a source may be read.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);

/// One source of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name, unique among sources.
    pub name: String,
    /// Whether it is read; what a source that is not has listed is not used.
    pub enabled: bool,
    /// Where its nodes are published.
    pub origin: SourceOrigin,
    /// The pause between two fetches.
    pub interval: Duration,
    /// Whether its nodes may have private addresses.
    pub allow_private: bool,
    /// What carries the fetch.
    pub via: Via,
    /// The `User-Agent` that is sent; `None` = the usual one.
    pub user_agent: Option<String>,
    /// Further request headers.
    pub headers: Vec<(String, Secret)>,
    /// The most bytes of one document, after decompression.
    pub max_bytes: u64,
    /// The scheme of bare `ip:port` lines; `None` = from the file's name, else `http`.
    pub scheme: Option<String>,
    /// Words for the tag expressions of listeners.
    pub tags: Vec<String>,
}

/// Where the nodes are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceOrigin {
    /// A URL, possibly with date placeholders. Subscriptions have their password or token in it.
    Url(Secret),
    /// A file or a glob pattern.
    File(PathBuf),
    /// Links in the configuration itself.
    Links(Vec<Secret>),
    /// A GitHub repository.
    GitHub {
        /// The owner of the repository.
        owner: String,
        /// The name of the repository.
        repo: String,
        /// A branch, tag or commit; `None` = the default branch.
        branch: Option<String>,
        /// Patterns of the files; empty = the usual endings of lists.
        paths: Vec<String>,
        /// An access token.
        token: Option<Secret>,
    },
    /// A public Telegram channel.
    Telegram {
        /// The name of the channel.
        channel: String,
        /// How many pages are read.
        pages: usize,
    },
}

impl SourceOrigin {
    /// Whether TLS protects what is asked for and what comes, so that it may pass through a stranger's hands.
    #[must_use]
    pub(crate) fn is_protected(&self, places: &FetchConfig) -> bool {
        let is_https = |url: &Url| url.scheme() == "https";
        match self {
            Self::Url(url) => ["https://", "ssconf://"].iter().any(|scheme| url.expose().trim().starts_with(scheme)),
            Self::GitHub { .. } => is_https(&places.github_api) && is_https(&places.github_raw),
            Self::Telegram { .. } => is_https(&places.telegram),
            Self::File(_) | Self::Links(_) => false,
        }
    }

    /// The kind's name, the key that names it in the file.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::File(_) => "file",
            Self::Links(_) => "links",
            Self::GitHub { .. } => "github",
            Self::Telegram { .. } => "telegram",
        }
    }
}

/// Reads one source; `None` when it cannot be used (its problems are noted).
pub(crate) fn source(mut section: Section<'_>, folder: Option<&Path>) -> Option<SourceConfig> {
    let origin = origin(&mut section, folder);
    let name = section.text("name").filter(|name| !name.trim().is_empty());
    if name.is_none() {
        section.problem("name", "every source needs a name, such as name = \"mine\"");
    }
    let source = SourceConfig {
        name: name.clone().unwrap_or_default(),
        enabled: section.boolean("enabled").unwrap_or(true),
        interval: section.value("interval", &INTERVAL).unwrap_or(Duration::from_secs(1800)),
        allow_private: section.boolean("allow_private").unwrap_or(false),
        via: section.parsed("via", "\"auto\", \"direct\" or \"pool\"", Via::parse).unwrap_or(Via::Auto),
        user_agent: section.text("user_agent"),
        headers: headers(&mut section),
        max_bytes: section.value("max_bytes", &(1..=1 << 30)).map_or(32 << 20, |bytes: ByteCount| bytes.0),
        scheme: section.parsed("scheme", "http, socks4, socks4a or socks5", |text| {
            matches!(text, "http" | "socks4" | "socks4a" | "socks5").then(|| text.to_owned())
        }),
        tags: section.texts("tags").unwrap_or_default(),
        origin: origin.clone().unwrap_or(SourceOrigin::Links(Vec::new())),
    };
    section.finish();
    (name.is_some() && origin.is_some()).then_some(source)
}

/// More request headers, by name.
fn headers(section: &mut Section<'_>) -> Vec<(String, Secret)> {
    let headers = section.secret_table("headers").unwrap_or_default();
    for (name, value) in &headers {
        let good = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value.expose()).is_ok();
        if !good {
            section.problem(
                "headers",
                format_args!(
                    "{name:?} cannot be sent as a header: its name or its value has characters that HTTP does not allow"
                ),
            );
        }
    }
    headers
}

fn origin(section: &mut Section<'_>, folder: Option<&Path>) -> Option<SourceOrigin> {
    let kinds = ["url", "file", "github", "telegram", "links"];
    let found: Vec<&str> = kinds.into_iter().filter(|kind| section.has(kind)).collect();
    let given = found.len();
    match &found[..] {
        [_] => {}
        [] => section.problem("url", format_args!("a source needs one of {}", kinds.join(", "))),
        [first, ..] => section.problem(
            first,
            format_args!(
                "a source is read from one place, and this one has {}: make it two sources",
                found.join(" and ")
            ),
        ),
    }
    let url = section.parsed("url", "an http or https URL", |text| url_template(text).then(|| Secret::new(text)));
    let file = section.text("file");
    let links = section.texts("links").map(|links| links.into_iter().map(Secret::new).collect());
    let repository = section.parsed("github", "\"owner/repo\"", repository);
    let channel = section.parsed("telegram", "the name of a public channel, such as \"my_channel\"", channel);
    let branch = section.text("branch");
    let paths = section.texts("paths");
    let token = section.text("token").map(Secret::new);
    let pages = section.value("pages", &(1..=100_usize));
    let is_github = repository.is_some();
    for (key, given) in [("branch", branch.is_some()), ("paths", paths.is_some()), ("token", token.is_some())] {
        if given && !is_github {
            section.problem(key, "belongs to a source with github = \"owner/repo\"");
        }
    }
    if pages.is_some() && channel.is_none() {
        section.problem("pages", "belongs to a source with telegram = \"channel\"");
    }
    let pages = pages.unwrap_or(3);
    let github = repository.map(|(owner, repo)| SourceOrigin::GitHub {
        owner,
        repo,
        branch,
        paths: paths.unwrap_or_default(),
        token,
    });
    let all = [
        url.map(SourceOrigin::Url),
        file.map(|file| SourceOrigin::File(beside(folder, &file))),
        links.map(SourceOrigin::Links),
        github,
        channel.map(|channel| SourceOrigin::Telegram { channel, pages }),
    ];
    all.into_iter().flatten().next().filter(|_| given == 1)
}

/// Placeholders in braces are filled in at the time of the fetch; the rest must be a URL.
fn url_template(text: &str) -> bool {
    let text = text.strip_prefix("ssconf://").map_or_else(|| text.to_owned(), |rest| format!("https://{rest}"));
    Url::parse(&text.replace(['{', '}'], "")).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn repository(text: &str) -> Option<(String, String)> {
    let (owner, repo) = text.trim_start_matches("https://github.com/").split_once('/')?;
    let good = |part: &str| {
        (1..=100).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    (good(owner) && good(repo)).then(|| (owner.to_owned(), repo.to_owned()))
}

fn channel(text: &str) -> Option<String> {
    let name = ["https://t.me/s/", "https://t.me/", "t.me/", "@"]
        .iter()
        .find_map(|start| text.strip_prefix(start))
        .unwrap_or(text)
        .trim_end_matches('/');
    let good = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    good.then(|| name.to_owned())
}
