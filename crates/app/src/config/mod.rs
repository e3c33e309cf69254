//! The configuration: what the file, the environment and the flags say, checked as a whole.

mod environment;
mod expression;
mod lines;
mod listener;
mod problem;
mod redact;
mod resolve;
mod section;
mod show;
mod source;
mod template;
mod value;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_core::Secret;
use hezar_gateway::Limits;
use hezar_pool::Strategy;
use hezar_probe::CanaryPage;
use url::Url;

pub use expression::Expression;
pub use problem::{Problem, Problems};
pub use source::{MANUAL, MANUAL_PRIVATE, MANUAL_SOURCES, Origin, SourceConfig};
pub use template::TEMPLATE;
pub(crate) use value::{is_public, listen_address};

/// Everything that the program can be told, with every default filled in.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Config {
    /// The file that was read; `None` when there was none.
    pub file: Option<PathBuf>,
    /// What is odd and does no harm, such as an unknown environment variable.
    pub warnings: Vec<String>,
    pub data: PathBuf,
    pub proxy: ProxyConfig,
    pub api: ApiConfig,
    pub pool: PoolConfig,
    pub probe: ProbeConfig,
    pub fetch: FetchConfig,
    pub geo: GeoConfig,
    pub store: StoreConfig,
    pub log: LogConfig,
    pub sources: Vec<SourceConfig>,
    /// Addresses besides that of [`ProxyConfig`].
    pub listeners: Vec<ListenerConfig>,
}

/// The address that clients use.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ProxyConfig {
    pub listen: SocketAddr,
    pub strategy: Strategy,
    pub attempts: u32,
    pub hedge_percent: u32,
    pub repeat_unsafe: bool,
    /// Whether HTTP answers name the node and the exit that served them.
    pub name_exit: bool,
    pub deadline: Duration,
    /// How long a request waits for the first node that is probed.
    pub node_wait: Duration,
    pub idle_timeout: Duration,
    /// An association without a datagram is closed after this.
    pub udp_idle_timeout: Duration,
    pub handshake_timeout: Duration,
    pub max_connections: usize,
    /// The most connections of one client address that have not logged in.
    pub max_pending_per_client: usize,
    /// The most UDP associations at a time.
    pub max_associations: usize,
    /// The most sessions at a time, over all listeners.
    pub max_sessions: usize,
    /// The most sessions of one user at one listener; one more ends the one that was unused for longest.
    pub max_sessions_per_user: usize,
    pub drain: Duration,
    pub users: Vec<User>,
    /// What one client address may have at a time.
    pub client_limits: Limits,
}

/// Who may use the proxy.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct User {
    pub name: String,
    pub password: Secret,
    /// What the user may have at a time.
    pub limits: Limits,
}

/// A further address that clients use, over a part of the pool.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ListenerConfig {
    pub name: String,
    pub listen: SocketAddr,
    pub strategy: Strategy,
    pub users: Vec<User>,
    pub client_limits: Limits,
    /// Any of these countries; empty = all.
    pub countries: Vec<[u8; 2]>,
    /// Any of these sources; empty = all.
    pub sources: Vec<String>,
    /// Any of these link schemes; empty = all.
    pub schemes: Vec<String>,
    /// A tag expression.
    pub tags: Option<Expression>,
    /// The text of the expression.
    pub tags_text: Option<String>,
    pub max_latency: Option<Duration>,
    /// Only so many nodes, the fastest ones.
    pub top: Option<usize>,
    /// Whether it uses nodes that take any certificate.
    pub allow_insecure: bool,
}

/// The control API.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Where it listens; `None` = it does not.
    pub listen: Option<SocketAddr>,
    /// The token; `None` = made at the first start and kept in the data folder.
    pub token: Option<Secret>,
    /// Host names under which the API may be asked.
    pub hosts: Vec<String>,
}

/// Which nodes are taken in, and how many.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// In all.
    pub max_nodes: usize,
    /// Listed by one source.
    pub max_nodes_per_source: usize,
    /// On one server host; loopback hosts are exempt.
    pub max_nodes_per_server: usize,
    /// Whether nodes that take any certificate are used.
    pub allow_insecure: bool,
}

/// How nodes are checked.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ProbeConfig {
    pub url: Url,
    pub expect_status: u16,
    pub expect_body: Option<String>,
    pub timeout: Duration,
    pub connect_timeout: Duration,
    pub interval: Duration,
    pub dead_after: u32,
    pub forget_after: Duration,
    /// Probes at a time; `None` = from the open-file limit.
    pub concurrency: Option<usize>,
    pub per_second: u32,
    pub per_host: usize,
    /// Probes started per second at one server host; 0 = no limit.
    pub per_host_per_second: u32,
    pub trace_url: Option<Url>,
    pub trace_interval: Duration,
    /// Pages whose bytes are known, fetched through every node that works; empty = none.
    pub canaries: Vec<CanaryPage>,
    pub quarantine: Duration,
    /// URLs asked directly when many nodes fail at once.
    pub control: Vec<Url>,
}

/// What all sources share.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct FetchConfig {
    pub timeout: Duration,
    pub github_api: Url,
    pub github_raw: Url,
    pub telegram: Url,
}

/// What is known about addresses.
#[derive(Clone, Debug, Default)]
pub struct GeoConfig {
    /// A country database in the MaxMind format; it is believed before the trace URL.
    pub mmdb: Option<PathBuf>,
}

/// Where the pool is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `sqlite:FILE`; a relative file stands in the data folder. Other kinds of URLs may hold a password.
    pub url: Secret,
}

/// What is logged, and where.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A filter such as `info` or `hezar_probe=debug,info`.
    pub level: String,
    /// `pretty` or `json`.
    pub json: bool,
    /// A folder for daily files besides the terminal.
    pub folder: Option<PathBuf>,
    /// For how many days files are kept.
    pub keep: usize,
    /// The most bytes of all files together; the oldest file goes first.
    pub max_bytes: u64,
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
        resolve::config(text, path, layers)
    }

    /// The effective configuration as TOML, secrets hidden.
    #[must_use]
    pub fn show(&self) -> String {
        show::config(self)
    }
}

#[cfg(test)]
mod tests;
