//! Every key of the configuration with what it means: those that the crates describe, and those that need a reader of their own.

use hezar_api::ApiSettings;
use hezar_core::settings::{Setting, Settings};
use hezar_engine::TlsSettings;
use hezar_fetch::FetchConfig;
use hezar_gateway::GatewayConfig;
use hezar_pool::{HealthSettings, PoolSettings};
use hezar_probe::ProbeConfig;
use hezar_store::StoreSettings;

use super::{GeoConfig, LogConfig, show::to_toml};

/// The sections in the order of the template, each with its comment.
pub(super) const SECTIONS: [(&str, &str); 9] = [
    ("proxy", "the address that clients use: HTTP and SOCKS4/4a/5 on one port"),
    ("api", "control and metrics"),
    ("pool", "how much lists from strangers may bring; what is beyond is counted and left out"),
    ("probe", "every node is checked again and again"),
    ("fetch", ""),
    ("tls", "how nodes are met"),
    ("geo", ""),
    ("store", ""),
    ("log", ""),
];

/// One key, as the template and the documentation show it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    /// What it means, line by line.
    pub(super) doc: Vec<&'static str>,
    /// What the template shows, in TOML; empty = the template leaves the key out.
    pub(super) example: String,
    /// The default, in TOML; `None` when there is none.
    pub(super) default: Option<String>,
    /// Which values are allowed.
    pub(super) expected: String,
    /// The names of all values, where there are only a few.
    pub(super) choices: Vec<&'static str>,
    /// Whether the template sets it.
    pub(super) set: bool,
}

impl Described {
    /// The comment in the template: the first line of the text as a part of a sentence, or the values where there are only a few.
    pub(super) fn comment(&self) -> String {
        if !self.choices.is_empty() {
            return self.choices.join(", ");
        }
        let line = self.doc.first().copied().unwrap_or_default().trim_end_matches('.');
        let mut letters = line.chars();
        match (letters.next(), letters.next()) {
            // "UDP associations" keeps its capital.
            (Some(first), Some(second)) if !second.is_uppercase() => {
                let rest = line.get(first.len_utf8()..).unwrap_or_default();
                format!("{}{rest}", first.to_lowercase())
            }
            _ => line.to_owned(),
        }
    }
}

/// All keys in the order of the template.
pub(super) fn described() -> Vec<Described> {
    let mut all = Vec::new();
    add::<GatewayConfig>(&mut all);
    all.extend([USERS, CLIENT_LIMITS].map(Described::from));
    add::<ApiSettings>(&mut all);
    add::<PoolSettings>(&mut all);
    add::<ProbeConfig>(&mut all);
    add::<HealthSettings>(&mut all);
    all.extend([CANARY_URL, CANARY_TEXT, CANARY_SHA256].map(Described::from));
    add::<FetchConfig>(&mut all);
    add::<TlsSettings>(&mut all);
    add::<GeoConfig>(&mut all);
    add::<StoreSettings>(&mut all);
    add::<LogConfig>(&mut all);
    all
}

fn add<S: Settings>(all: &mut Vec<Described>) {
    let defaults = S::default();
    all.extend(S::ALL.iter().map(|setting| from_setting(setting, &defaults)));
}

fn from_setting<S>(setting: &Setting<S>, defaults: &S) -> Described {
    let default = (setting.write)(defaults).map(|given| to_toml(given).to_string());
    Described {
        section: setting.section(),
        key: setting.key(),
        doc: setting.doc.iter().map(|line| line.trim()).collect(),
        example: setting.example.map(str::to_owned).or_else(|| default.clone()).unwrap_or_else(|| "\"\"".to_owned()),
        default,
        expected: (setting.expected)(),
        choices: (setting.choices)(),
        set: setting.set,
    }
}

/// A key that is read by a function of its own.
struct Special {
    section: &'static str,
    key: &'static str,
    doc: &'static [&'static str],
    example: &'static str,
    expected: &'static str,
}

impl From<Special> for Described {
    fn from(special: Special) -> Self {
        let Special { section, key, doc, example, expected } = special;
        let (doc, example, expected) = (doc.to_vec(), example.to_owned(), expected.to_owned());
        Self { section, key, doc, example, default: None, expected, choices: Vec::new(), set: false }
    }
}

const USERS: Special = Special {
    section: "proxy",
    key: "users",
    doc: &["Who may use the proxy.", "Limits that are absent do not limit."],
    example: "[{ name = \"alice\", password = \"change me\", connections = 100, requests_per_second = 50, bytes_per_second = \"2MiB\" }]",
    expected: "a list of tables with `name`, `password`, `connections`, `requests_per_second` and `bytes_per_second`",
};

const CLIENT_LIMITS: Special = Special {
    section: "proxy",
    key: "client_limits",
    doc: &["The limits of a user, for every client address."],
    example: "{ connections = 500 }",
    expected: "a table with `connections`, `requests_per_second` and `bytes_per_second`",
};

const CANARY_URL: Special = Special {
    section: "probe",
    key: "canary_url",
    doc: &[
        "A page whose bytes you know: a node that changes it, or never brings it while others do, carries nothing.",
        "Default: three well-known plain-HTTP pages by which browsers and systems find out whether somebody stands in between; \"\" for none. \
         A node that tampers elsewhere alone is not seen by it.",
    ],
    example: "\"https://example.org/known.txt\"",
    expected: "an http or https URL, or \"\" for none",
};

const CANARY_TEXT: Special = Special {
    section: "probe",
    key: "canary_text",
    doc: &["The whole body of the page, or canary_sha256."],
    example: "\"the whole body\"",
    expected: "a text",
};

const CANARY_SHA256: Special = Special {
    section: "probe",
    key: "canary_sha256",
    doc: &["The hash of the whole body, instead of canary_text."],
    example: "",
    expected: "64 hexadecimal digits",
};

/// A key of a table that the template shows as a whole, in an example.
const fn key(
    section: &'static str,
    key: &'static str,
    expected: &'static str,
    doc: &'static [&'static str],
) -> Special {
    Special { section, key, doc, example: "", expected }
}

/// The keys of a `[[listener]]`.
const LISTENER: [Special; 12] = [
    key("listener", "name", "a text of 1 to 64 characters", &["Its name; no other listener has it."]),
    key("listener", "listen", "an address and a port", &["Any other address than loopback needs users."]),
    key("listener", "strategy", "as in `[proxy]`", &["As in `[proxy]` when it is absent."]),
    key("listener", "users", "as in `[proxy]`", &["Those of `[proxy]` when there are none."]),
    key("listener", "client_limits", "as in `[proxy]`", &["The limits of a user, for every client address."]),
    key("listener", "countries", "a list of two-letter codes (ISO 3166)", &["Only nodes with an exit in one of them."]),
    key("listener", "sources", "a list of names of sources", &["Only nodes that one of them lists."]),
    key("listener", "schemes", "a list of link schemes", &["Only nodes of one of these schemes."]),
    key(
        "listener",
        "tags",
        "an expression such as `paid & !slow`",
        &[
            "Tags of sources, and `label:`, `country:`, `scheme:`, `source:`, `is:insecure`, `anonymity:` (`elite`, `anonymous`, `transparent`, `unknown`); with `&`, `!`, brackets and a bar for \"or\".",
        ],
    ),
    key("listener", "max_latency", "a duration from 100ms to 10m", &["Only nodes that answer as fast as this."]),
    key("listener", "top", "a whole number from 1 to 1000000", &["Only so many nodes, the fastest ones."]),
    key("listener", "allow_insecure", "true or false", &["False: no nodes that take any certificate."]),
];

/// The keys of a `[[source]]`.
const SOURCE: [Special; 19] = [
    key("source", "name", "a text", &["Its name; no other source has it."]),
    key(
        "source",
        "url",
        "an http or https URL",
        &["Where a list is. Dates in braces, such as `{Ymd}`, are filled in."],
    ),
    key("source", "file", "a path or a pattern", &["Files of this machine."]),
    key("source", "github", "\"owner/repo\"", &["Files of a repository."]),
    key("source", "telegram", "the name of a public channel", &["The messages of a channel."]),
    key("source", "links", "a list of share links", &["Nodes that stand in the configuration itself."]),
    key("source", "branch", "a text", &["The branch of the repository, its own default when absent."]),
    key("source", "paths", "a list of patterns", &["Which files of the repository are read."]),
    key("source", "token", "a text", &["The token for GitHub."]),
    key("source", "pages", "a whole number from 1 to 100", &["How many pages of the channel are read, 3 when absent."]),
    key("source", "enabled", "true or false", &["False: it is not read, and its nodes are not used."]),
    key("source", "interval", "a duration from 1s to 30d", &["How often it is read, 30m when absent."]),
    key("source", "allow_private", "true or false", &["True: accepts nodes on private and loopback addresses."]),
    key(
        "source",
        "via",
        "\"auto\", \"direct\" or \"pool\"",
        &[
            "Directly, over the pool's nodes, or, when it is absent, over the nodes when the direct way fails (https only).",
        ],
    ),
    key("source", "user_agent", "a text", &["What the server is told about the client."]),
    key("source", "headers", "a table of texts", &["More headers of the request."]),
    key("source", "max_bytes", "a size from 1 to 1073741824 bytes", &["More is not read, 32MiB when absent."]),
    key("source", "scheme", "http, socks4, socks4a or socks5", &["What bare `ip:port` lines are."]),
    key("source", "tags", "a list of texts", &["Words for the expressions of listeners."]),
];

/// The keys of the tables that the template shows in examples: listeners and sources.
pub(super) fn of_tables() -> Vec<Described> {
    LISTENER.into_iter().chain(SOURCE).map(Described::from).collect()
}
