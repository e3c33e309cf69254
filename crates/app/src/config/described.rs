//! Every key of the configuration with what it means: those that are described as settings, and those that need a reader of their own.

use hezar_accept::PortTls;
use hezar_api::{ApiSettings, ClashSettings};
use hezar_core::settings::{Setting, Settings};
use hezar_engine::TlsSettings;
use hezar_fetch::FetchConfig;
use hezar_gateway::{
    AccessRules, FeedbackRule, GatewayConfig, InboundFallback, InboundHysteria2, InboundReality, InboundShadowsocks,
    InboundTransport, Limits, Quota, User, UserLink,
};
use hezar_pool::{HealthSettings, PoolSettings};
use hezar_probe::ProbeConfig;
use hezar_sidecar::SidecarSettings;
use hezar_store::StoreSettings;

use super::{
    AccessLogConfig, AlertConfig, ClusterConfig, EngineSettings, GeoConfig, ListenerConfig, LogConfig, ObjectKind,
    OtlpConfig, SourceConfig, SubscriptionConfig, TelegramConfig, TorSettings, show::to_toml,
};

/// The sections in the order of the template, each with its comment.
pub(super) const SECTIONS: [(&str, &str); 16] = [
    ("proxy", "the address that clients use: HTTP and SOCKS4/4a/5 on one port"),
    ("api", "control and metrics"),
    ("clash", "dashboards of Clash on the API's address: docs/clash.md"),
    ("engine", "what carries the requests of clients: docs/cores.md"),
    ("pool", "how much lists from strangers may bring; what is beyond is counted and left out"),
    ("probe", "every node is checked again and again"),
    ("fetch", ""),
    ("tls", "how nodes are met"),
    ("geo", ""),
    ("store", ""),
    ("cluster", "several machines over one store in PostgreSQL: docs/cluster.md"),
    ("log", ""),
    ("access_log", "a line for every request: docs/logs.md"),
    ("otlp", "traces of requests, for an OpenTelemetry collector"),
    ("tor", "Tor clients that are started for sources with tor = 40: docs/tor.md"),
    ("sidecar", "installed cores of others for the nodes that only they can dial: docs/cores.md"),
];

/// One key, as the template and the documentation show it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) section: &'static str,
    pub(super) key: String,
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
    /// The types that a value may have, as a JSON schema names them.
    pub(super) json_types: &'static [&'static str],
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
    add::<AccessRules>(&mut all);
    all.extend([USERS, CLIENT_LIMITS, FEEDBACK, port_tls("proxy")].map(Described::from));
    add::<ApiSettings>(&mut all);
    all.push(port_tls("api").into());
    add::<ClashSettings>(&mut all);
    add::<EngineSettings>(&mut all);
    add::<PoolSettings>(&mut all);
    add::<ProbeConfig>(&mut all);
    add::<HealthSettings>(&mut all);
    all.extend([CANARY_URL, CANARY_TEXT, CANARY_SHA256].map(Described::from));
    add::<FetchConfig>(&mut all);
    add::<TlsSettings>(&mut all);
    add::<GeoConfig>(&mut all);
    add::<StoreSettings>(&mut all);
    add::<ClusterConfig>(&mut all);
    add::<LogConfig>(&mut all);
    add::<AccessLogConfig>(&mut all);
    add::<OtlpConfig>(&mut all);
    add::<TorSettings>(&mut all);
    add::<SidecarSettings>(&mut all);
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
        key: setting.key().to_owned(),
        doc: setting.doc.iter().map(|line| line.trim()).collect(),
        example: setting.example.map(str::to_owned).or_else(|| default.clone()).unwrap_or_else(|| "\"\"".to_owned()),
        default,
        expected: (setting.expected)(),
        choices: (setting.choices)(),
        json_types: setting.json_types,
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
        let (key, example, expected) = (key.to_owned(), example.to_owned(), expected.to_owned());
        let json_types: &[&str] = match &*key {
            "users" | "feedback" => &["array"],
            "client_limits" | "tls" => &["object"],
            _ => &["string"],
        };
        let (doc, choices) = (doc.to_vec(), Vec::new());
        Self { section, key, doc, example, default: None, expected, choices, json_types, set: false }
    }
}

const USERS: Special = Special {
    section: "proxy",
    key: "users",
    doc: &["Who may use the proxy.", "Limits that are absent do not limit; all keys are those of `[[proxy.users]]`."],
    example: "[{ name = \"alice\", password = \"change me\", connections = 100, requests_per_second = 50, bytes_per_second = \"2MiB\" }]",
    expected: "a list of users",
};

const CLIENT_LIMITS: Special = Special {
    section: "proxy",
    key: "client_limits",
    doc: &["The limits of a user, for every client address."],
    example: "{ connections = 500 }",
    expected: "a table with `connections`, `requests_per_second` and `bytes_per_second`",
};

const fn port_tls(section: &'static str) -> Special {
    Special {
        section,
        key: "tls",
        doc: &[
            "The port speaks TLS, with a certificate from files or from an ACME server: docs/tls.md.",
            "All keys are those of `[[listener]]` that begin with `tls.`.",
        ],
        example: "{ cert = \"fullchain.pem\", key = \"privkey.pem\" }",
        expected: "a table with `cert` and `key`, or with `acme`",
    }
}

const FEEDBACK: Special = Special {
    section: "proxy",
    key: "feedback",
    doc: &[
        "Answers to plain requests that say that a site refuses the exit.",
        "Each rule has the keys of `[[listener.feedback]]`: `hosts`, `status`, `body`, `ban` and `retry`.",
    ],
    example: "[{ status = [403, 429], ban = \"1h\" }]",
    expected: "a list of rules",
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

/// The keys of `[[alert]]`, which only the file has; those of its table as `telegram.key`.
pub(super) fn alert_keys() -> Vec<Described> {
    let mut all = Vec::new();
    add::<AlertConfig>(&mut all);
    add_table::<TelegramConfig>(&mut all, "telegram");
    all.iter_mut().filter(|key| key.key == "name").for_each(|key| key.default = None);
    all
}

/// The keys without which an object cannot be read.
pub(super) const REQUIRED: [&str; 2] = ["name", "listen"];

/// The keys of an object, or of all sections; those of its tables as `table.key`.
pub(super) fn keys_of(kind: ObjectKind) -> Vec<Described> {
    let mut all = Vec::new();
    match kind {
        ObjectKind::Source => add::<SourceConfig>(&mut all),
        ObjectKind::Listener => {
            add::<ListenerConfig>(&mut all);
            add::<AccessRules>(&mut all);
            all.push(LISTENER_USERS.into());
            add_table::<Limits>(&mut all, "client_limits");
            add_table::<PortTls>(&mut all, "tls");
            add_table::<InboundReality>(&mut all, "reality");
            add_table::<InboundTransport>(&mut all, "transport");
            add_table::<InboundFallback>(&mut all, "fallback");
            add_table::<InboundShadowsocks>(&mut all, "shadowsocks");
            add_table::<InboundHysteria2>(&mut all, "hysteria2");
            add_table::<FeedbackRule>(&mut all, "feedback");
        }
        ObjectKind::User => {
            add::<User>(&mut all);
            add::<AccessRules>(&mut all);
            add::<Limits>(&mut all);
            add_table::<Quota>(&mut all, "quota");
            add_table::<UserLink>(&mut all, "links");
        }
        ObjectKind::Subscription => add::<SubscriptionConfig>(&mut all),
        ObjectKind::Setting => return described(),
    }
    all.iter_mut().for_each(|key| key.section = kind.name());
    // What must be given has no default.
    let is_required = |key: &Described| REQUIRED.contains(&&*key.key) || key.key == "links.name";
    all.iter_mut().filter(|key| is_required(key)).for_each(|key| key.default = None);
    all
}

fn add_table<S: Settings>(all: &mut Vec<Described>, table: &str) {
    let first = all.len();
    add::<S>(all);
    all.iter_mut().skip(first).for_each(|key| key.key = format!("{table}.{}", key.key));
}

const LISTENER_USERS: Special = Special {
    section: "listener",
    key: "users",
    doc: &["Its own users, as in `[[proxy.users]]`; those of `[proxy]` when there are none."],
    example: "",
    expected: "a list of users",
};
