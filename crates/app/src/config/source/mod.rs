//! One `[[source]]`: where it is, how often it is read, and what may be in it.

mod tor;
mod values;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_core::{Secret, settings, settings::ByteCount};
use hezar_fetch::{FetchConfig, Via};
use url::Url;

use super::{resolve::beside, section::Section};
pub use tor::{TorBridges, TorCircuits, TorClient};
pub(crate) use values::feed_url;
use values::{BareScheme, Channel, Headers, InstanceUrl, Links, Repository, SourceUrl};

/// The source that lists the nodes that were added by hand. No configured source may have this name.
pub const MANUAL: &str = "manual";
/// The source of those on private addresses, which whoever added them has allowed.
pub const MANUAL_PRIVATE: &str = "manual-private";
/// The names of sources that are in no configuration.
pub const MANUAL_SOURCES: [&str; 2] = [MANUAL, MANUAL_PRIVATE];

/// The keys of which a source has exactly one: where its nodes are published.
const ORIGINS: [&str; 7] = ["url", "file", "github", "telegram", "links", "tor", "hezar"];
/// How many pages of a channel are read unless the source says it.
const USUAL_PAGES: usize = 3;

settings! {
    /// One source of nodes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SourceConfig in "source" {
        /// Its name; no other source has it.
        pub name: String = String::new();
        /// Where a list is. Dates in braces, such as `{Ymd}`, are filled in.
        pub url: Option<SourceUrl> = None;
        /// A file of this machine, or a pattern for several.
        pub file: Option<String> = None;
        /// Files of a repository.
        pub github: Option<Repository> = None;
        /// The messages of a public channel.
        pub telegram: Option<Channel> = None;
        /// Share links that stand in the configuration itself.
        pub links: Option<Links> = None;
        /// So many circuits through the Tor network, each of them a node: docs/tor.md.
        pub tor: Option<usize> [1..=500] = None;
        /// The address of another instance's API: the nodes that work there, followed as they change (docs/sources.md).
        pub hezar: Option<InstanceUrl> = None;
        /// The branch of the repository, its own default when absent.
        pub branch: Option<String> = None;
        /// Patterns of the files of the repository that are read; empty = the usual endings of lists.
        pub paths: Vec<String> = Vec::new();
        /// The token for GitHub, or a token of the scope `feed` of the other instance.
        pub token: Option<Secret> = None;
        /// How many pages of the channel are read, 3 when absent.
        pub pages: Option<usize> [1..=100] = None;
        /// The SOCKS address of a Tor client that runs already; when absent, one is started.
        pub tor_socks: Option<SocketAddr> = None;
        /// The control address of that Tor client: with it the exits of the circuits are known early.
        pub tor_control: Option<SocketAddr> = None;
        /// The password of that control address, where it takes one instead of a cookie.
        pub tor_password: Option<Secret> = None;
        /// The countries of the exits; empty = all.
        pub tor_exits: Vec<[u8; 2]> = Vec::new();
        /// Bridge lines, where the Tor network is blocked.
        pub tor_bridges: Option<TorBridges> = None;
        /// False: it is not read, and its nodes are not used.
        pub enabled: bool = true;
        /// How often it is read.
        pub interval: Duration [Duration::from_secs(1)..=Duration::from_secs(30 * 86_400)] = Duration::from_secs(1800);
        /// True: accepts nodes on private and loopback addresses.
        pub allow_private: bool = false;
        /// Directly, over the pool's nodes, or over the nodes when the direct way fails (`auto`, https only).
        pub via: Via = Via::Auto;
        /// What the server is told about the client.
        pub user_agent: Option<String> = None;
        /// More headers of the request.
        pub headers: Headers = Headers::default();
        /// The largest document that is read, after decompression.
        pub max_bytes: ByteCount [1..=1 << 30] = ByteCount(32 << 20);
        /// What bare `ip:port` lines are; when absent, what the file's name says, else `http`.
        pub scheme: Option<BareScheme> = None;
        /// Words for the expressions of listeners.
        pub tags: Vec<String> = Vec::new();
    } and {
        /// Where its nodes are published.
        pub origin: SourceOrigin = SourceOrigin::Links(Vec::new());
    }
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
    /// Circuits of a Tor client.
    Tor(TorCircuits),
    /// The feed of another instance.
    Hezar {
        /// The address of its API.
        url: Url,
        /// A token of its scope `feed`.
        token: Secret,
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
            Self::Hezar { url, .. } => is_https(url),
            Self::File(_) | Self::Links(_) | Self::Tor(_) => false,
        }
    }

    /// Whether what was listed there is listed by the other one too. More or fewer circuits are those of the same client.
    #[must_use]
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tor(one), Self::Tor(other)) => one.client == other.client,
            (Self::Hezar { url: one, .. }, Self::Hezar { url: other, .. }) => one == other,
            (one, other) => one == other,
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
            Self::Tor(_) => "tor",
            Self::Hezar { .. } => "hezar",
        }
    }
}

/// Reads one source; `None` when it cannot be used (its problems are noted).
pub(crate) fn source(mut section: Section<'_>, folder: Option<&Path>) -> Option<SourceConfig> {
    let mut source = SourceConfig::default();
    section.fill_object(&mut source);
    let origin = origin(&section, &source, folder);
    let named = !source.name.trim().is_empty();
    if !named {
        section.problem("name", "every source needs a name, such as name = \"mine\"");
    }
    match &origin {
        Some(SourceOrigin::File(file)) => source.file = Some(file.display().to_string()),
        // Its nodes are the address of a Tor client, which is on this machine as a rule, and nothing else.
        Some(SourceOrigin::Tor(_)) => source.allow_private = true,
        _ => {}
    }
    section.finish();
    Some(SourceConfig { origin: origin?, ..source }).filter(|_| named)
}

/// Where the source is read from: the one of the keys that it has.
fn origin(section: &Section<'_>, source: &SourceConfig, folder: Option<&Path>) -> Option<SourceOrigin> {
    let found: Vec<&str> = ORIGINS.into_iter().filter(|kind| section.was_given(kind)).collect();
    match &found[..] {
        [_] => {}
        [] => section.problem("url", format_args!("a source needs one of {}", ORIGINS.join(", "))),
        [first, ..] => section.problem(
            first,
            format_args!(
                "a source is read from one place, and this one has {}: make it two sources",
                found.join(" and ")
            ),
        ),
    }
    for key in ["branch", "paths"] {
        if section.was_given(key) && !section.was_given("github") {
            section.problem(key, "belongs to a source with github = \"owner/repo\"");
        }
    }
    if section.was_given("token") && !section.was_given("github") && !section.was_given("hezar") {
        section.problem("token", "belongs to a source with github = \"owner/repo\" or hezar = \"https://…\"");
    }
    if source.hezar.is_some() && source.token.is_none() {
        section.problem("token", "the other instance needs a token: hezar token create NAME --scope feed, there");
    }
    if section.was_given("pages") && !section.was_given("telegram") {
        section.problem("pages", "belongs to a source with telegram = \"channel\"");
    }
    tor::check(section, source);
    let tor = tor::circuits(source).map(SourceOrigin::Tor);
    let SourceConfig { url, file, github, telegram, links, hezar, branch, paths, token, pages, .. } = source.clone();
    let hezar = hezar.zip(token.clone()).map(|(InstanceUrl(url), token)| SourceOrigin::Hezar { url, token });
    let github = github.map(|Repository { owner, repo }| SourceOrigin::GitHub { owner, repo, branch, paths, token });
    let pages = pages.unwrap_or(USUAL_PAGES);
    let all = [
        url.map(|url| SourceOrigin::Url(url.0)),
        file.map(|file| SourceOrigin::File(beside(folder, &file))),
        links.map(|links| SourceOrigin::Links(links.0)),
        github,
        telegram.map(|channel| SourceOrigin::Telegram { channel: channel.0, pages }),
        tor,
        hezar,
    ];
    all.into_iter().flatten().next().filter(|_| found.len() == 1)
}
