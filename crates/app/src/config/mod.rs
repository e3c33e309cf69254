//! The configuration: what the file, the environment and the flags say, checked as a whole.

mod alert;
mod catalog;
mod cluster;
mod described;
mod engine;
mod environment;
mod expression;
mod feedback;
mod inbound;
mod lines;
mod listener;
mod log;
mod nearest;
mod objects;
mod problem;
mod reader;
mod redact;
mod reference;
mod resolve;
mod section;
mod show;
mod source;
mod subscription;
mod template;
mod user;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use hezar_api::{ApiSettings, ClashSettings};
use hezar_core::{Secret, settings, settings::ByteCount};
use hezar_engine::TlsSettings;
use hezar_fetch::FetchConfig;
use hezar_gateway::{GatewayConfig, LogPrivacy, User};
use hezar_pool::{HealthSettings, PoolSettings};
use hezar_probe::ProbeConfig;
use hezar_sidecar::SidecarSettings;
use hezar_store::StoreSettings;
use url::Url;

pub use alert::{AlertCondition, AlertConditions, AlertConfig, TelegramConfig};
pub(crate) use catalog::{is_changeable, is_setting, needs_restart, place, schema, settings};
pub use cluster::ClusterConfig;
pub use engine::{CoreStrategy, EngineKind, EngineSettings};
pub(crate) use environment::with_value_files;
pub use expression::Expression;
pub(crate) use inbound::link_server;
pub use listener::{ListenerConfig, TagFilter};
pub use log::{AccessLogFormat, LogFormat, LogLevel};
pub use objects::{ConfigOrigin, ObjectKey, ObjectKind, StoredObject};
pub use problem::{Problem, Problems};
pub(crate) use reader::ConfigReader;
pub use reference::reference;
pub(crate) use show::shown;
pub(crate) use source::feed_url;
pub use source::{
    MANUAL, MANUAL_PRIVATE, MANUAL_SOURCES, SourceConfig, SourceOrigin, TorBridges, TorCircuits, TorClient,
};
pub use subscription::SubscriptionConfig;
pub(crate) use template::PUBLIC_SOURCES;
pub use template::template;

/// Everything that the program can be told, with every default filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read; `None` when there was none.
    pub file: Option<PathBuf>,
    /// The text of that file, which may hold passwords.
    pub text: Secret,
    /// What is odd and does no harm, such as an unknown environment variable.
    pub warnings: Vec<String>,
    /// Where everything is said that is not as by default.
    pub origins: BTreeMap<ObjectKey, ConfigOrigin>,
    /// Objects of the store that are not in force, and why.
    pub left_out: Vec<Problem>,
    /// The folder of the database, the token and the logs.
    pub data: PathBuf,
    /// The first listener, and what the others do not say.
    pub proxy: GatewayConfig,
    /// `[api]`.
    pub api: ApiSettings,
    /// `[clash]`.
    pub clash: ClashSettings,
    /// `[engine]`.
    pub engine: EngineSettings,
    /// `[pool]`.
    pub pool: PoolSettings,
    /// `[health]`.
    pub health: HealthSettings,
    /// `[probe]`.
    pub probe: ProbeConfig,
    /// `[fetch]`.
    pub fetch: FetchConfig,
    /// `[tls]`.
    pub tls: TlsSettings,
    /// `[geo]`.
    pub geo: GeoConfig,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[cluster]`.
    pub cluster: ClusterConfig,
    /// `[log]`.
    pub log: LogConfig,
    /// `[access_log]`.
    pub access_log: AccessLogConfig,
    /// `[otlp]`.
    pub otlp: OtlpConfig,
    /// `[tor]`.
    pub tor: TorSettings,
    /// `[sidecar]`.
    pub sidecar: SidecarSettings,
    /// Every `[[source]]`.
    pub sources: Vec<SourceConfig>,
    /// Addresses besides that of `[proxy]`.
    pub listeners: Vec<ListenerConfig>,
    /// What is given out at `/sub/TOKEN`.
    pub subscriptions: Vec<SubscriptionConfig>,
    /// Who is told of troubles.
    pub alerts: Vec<AlertConfig>,
}

settings! {
    /// What is known about addresses.
    #[derive(Clone, Debug)]
    pub struct GeoConfig in "geo" {
        /// Countries of exits (MaxMind format), believed before trace_url; read again when it changes.
        pub mmdb: Option<PathBuf> = None, example "\"country.mmdb\"";
        /// Networks (ASN) of exits (MaxMind format), for `asn-…` in user names; read again when it changes.
        pub asn_mmdb: Option<PathBuf> = None, example "\"asn.mmdb\"";
        /// Cities of exits (MaxMind format), for `city-…` in user names; read again when it changes.
        pub city_mmdb: Option<PathBuf> = None, example "\"city.mmdb\"";
    }
}

settings! {
    /// Traces of requests, for an OpenTelemetry collector: docs/metrics.md.
    #[derive(Clone, Debug)]
    pub struct OtlpConfig in "otlp" {
        /// The collector's address for OTLP over HTTP; without one there are no traces.
        /// It is reached by this machine's own sockets.
        pub endpoint: Option<Url> = None, example "\"http://127.0.0.1:4318\"";
        /// Of 100 requests so many are traced.
        pub sample_percent: u32 [1..=100] = 10;
        /// A token that the collector gets as `Authorization: Bearer`.
        pub bearer: Option<Secret> = None, example "\"…\"";
        /// The name under which traces appear.
        pub service: Box<str> [1..=64] = "hezar".into();
    }
}

settings! {
    /// The Tor clients that are started for sources with `tor`. Whoever may write these may run programs, so they stand in the file,
    /// the environment or the flags alone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TorSettings in "tor" {
        /// The program; when absent, `tor` in the folders of PATH.
        pub binary: Option<PathBuf> = None, example "\"/usr/bin/tor\"";
        /// Further lines of Tor's own configuration (torrc).
        pub options: Vec<String> = Vec::new(), example "[\"ClientUseIPv6 1\"]";
    }
}

settings! {
    /// What is logged, and where.
    #[derive(Clone, Debug)]
    pub struct LogConfig in "log" {
        /// How much is logged; also a filter such as "hezar_probe=debug,info".
        pub level: LogLevel = LogLevel("info".to_owned());
        /// How a line looks.
        pub format: LogFormat = LogFormat::Pretty;
        /// Daily files besides the terminal, readable by their owner alone.
        pub folder: Option<PathBuf> = None, example "\"logs\"";
        /// Days.
        /// For so long files are kept.
        pub keep: usize [1..=3650] = 14;
        /// Of all files together.
        /// The oldest file goes first.
        pub max_bytes: ByteCount [1 << 20..=1 << 40] = ByteCount(1 << 30), example "\"1GiB\"";
        /// Finished files are compressed (gzip).
        pub compress: bool = true;
        /// What the logs do not tell: "users", "targets", "clients", several as "users,targets", or "all".
        /// This holds for the access log, and for what the program's log says of requests at level info and above.
        pub privacy: LogPrivacy = LogPrivacy::default();
    }
}

settings! {
    /// A line for every request, in files of their own.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AccessLogConfig in "access_log" {
        /// The folder of the files; without it there is no access log.
        pub folder: Option<PathBuf> = None, example "\"logs\"";
        /// json: an object a line; combined: as Apache's log of that name.
        pub format: AccessLogFormat = AccessLogFormat::Json;
        /// False: one file access.log, which an outside program rotates and SIGUSR1 opens again.
        pub rotate: bool = true;
        /// A larger file is followed by another one, at most a quarter of max_bytes.
        pub file_bytes: ByteCount [1 << 16..=1 << 34] = ByteCount(64 << 20), example "\"64MiB\"";
        /// Finished files are compressed (gzip).
        pub compress: bool = true;
        /// Days.
        /// For so long files are kept.
        pub keep: usize [1..=3650] = 14;
        /// Of all files together, compressed ones too.
        /// The oldest file goes first.
        pub max_bytes: ByteCount [1 << 20..=1 << 44] = ByteCount(1 << 30), example "\"1GiB\"";
    }
}

/// What comes before the file: flags, and the environment.
#[derive(Clone, Default)]
pub struct Layers {
    /// `HEZAR_*` variables that name keys, e.g. `HEZAR_PROXY_LISTEN`.
    pub environment: BTreeMap<String, String>,
    /// Keys from flags, e.g. `proxy.listen`; they win over the environment.
    pub flags: BTreeMap<String, String>,
    /// The data folder from `--data` or `HEZAR_DATA`.
    pub data: Option<PathBuf>,
    /// The data folder when nothing says where it is; an empty path stands for `hezar-data` beside the file.
    pub default_data: PathBuf,
}

/// Values may be secret (`HEZAR_API_TOKEN`): only the names are shown.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("environment", &self.environment.keys())
            .field("flags", &self.flags.keys())
            .field("data", &self.data)
            .field("default_data", &self.default_data)
            .finish()
    }
}

impl Config {
    /// Reads a configuration text; `path` is where it came from (relative file sources stand beside it).
    ///
    /// # Errors
    /// Every problem at once, each with its key path.
    pub fn read(text: &str, path: Option<&Path>, layers: &Layers) -> Result<Self, Problems> {
        resolve::config(text, path, layers, &[])
    }

    /// Who may use a listener.
    #[must_use]
    pub fn users_of<'a>(&'a self, listener: &'a ListenerConfig) -> &'a [User] {
        if listener.users.is_empty() { &self.proxy.users } else { &listener.users }
    }

    /// The effective configuration as TOML, secrets hidden.
    #[must_use]
    pub fn show(&self) -> String {
        show::config(self)
    }
}

#[cfg(test)]
mod tests;
