//! From what was said to what it means: the one fallible step.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_core::Secret;
use hezar_pool::{Bounds, Strategy};
use hezar_probe::{CanaryBody, CanaryPage};
use toml::Table;
use url::Url;

use crate::places::DATA_FOLDER;

use super::{
    ApiConfig, Config, FetchConfig, GeoConfig, Layers, LogConfig, PoolConfig, ProbeConfig, Problem, Problems,
    ProxyConfig, StoreConfig, User, lines, listener,
    section::{Reading, Section, http_url},
    source::{self, MANUAL_SOURCES},
    value::is_public,
};

/// The bounds that several keys share.
pub(crate) struct Limits {
    pub(crate) interval: RangeInclusive<Duration>,
    pub(crate) timeout: RangeInclusive<Duration>,
    pub(crate) long: RangeInclusive<Duration>,
}

pub(crate) const fn limits() -> Limits {
    Limits {
        interval: Duration::from_secs(1)..=Duration::from_secs(30 * 86_400),
        timeout: Duration::from_millis(100)..=Duration::from_secs(600),
        long: Duration::from_secs(1)..=Duration::from_secs(365 * 86_400),
    }
}

pub(crate) fn config(text: &str, path: Option<&Path>, layers: &Layers) -> Result<Config, Problems> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let (line, message) = lines::syntax_error(text, &error);
        Problems(vec![Problem { path: String::new(), line, message }])
    })?;
    let reading = Reading::new(layers, text);
    let config = root(Section::new(&reading, "", table), &reading, path, layers);
    let (problems, warnings) = reading.finish();
    if problems.is_empty() { Ok(Config { warnings, ..config }) } else { Err(Problems(problems)) }
}

fn root(mut root: Section<'_>, reading: &Reading<'_>, path: Option<&Path>, layers: &Layers) -> Config {
    let folder = path.and_then(Path::parent);
    let config = Config {
        file: path.map(Path::to_owned),
        warnings: Vec::new(),
        data: data_folder(&mut root, folder, layers),
        proxy: proxy(root.section("proxy")),
        api: api(root.section("api")),
        pool: pool(root.section("pool")),
        probe: probe(root.section("probe")),
        fetch: fetch(root.section("fetch")),
        geo: geo(root.section("geo"), folder),
        store: store(root.section("store")),
        log: log(root.section("log"), folder),
        sources: root.sections("source").into_iter().filter_map(|section| source::source(section, folder)).collect(),
        listeners: Vec::new(),
    };
    let listeners = root.sections("listener");
    let config = Config { listeners: listener::listeners(listeners, &config), ..config };
    root.finish();
    unique_names(&config, reading);
    unique_addresses(&config, reading);
    config
}

/// What a flag says, else the file, else where such files have their data.
fn data_folder(root: &mut Section<'_>, folder: Option<&Path>, layers: &Layers) -> PathBuf {
    let key = root.text("data").filter(|data| !data.is_empty());
    if let Some(data) = &layers.data {
        return data.clone();
    }
    match key {
        Some(data) => beside(folder, &data),
        None if layers.default_data.as_os_str().is_empty() => beside(folder, DATA_FOLDER),
        None => layers.default_data.clone(),
    }
}

/// A relative path in the configuration starts at the folder of its file, not at the one that the program was started in.
pub(super) fn beside(folder: Option<&Path>, path: &str) -> PathBuf {
    folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
}

fn unique_names(config: &Config, reading: &Reading<'_>) {
    for (index, source) in config.sources.iter().enumerate() {
        if MANUAL_SOURCES.contains(&source.name.as_str()) {
            let name = &source.name;
            reading.problem(
                format!("source[{index}].name"),
                format_args!("{name:?} is the name under which nodes added by hand are kept: choose another one"),
            );
        }
        if config.sources.iter().take(index).any(|other| other.name == source.name) {
            reading.problem(format!("source[{index}].name"), format_args!("two sources are named {:?}", source.name));
        }
    }
}

/// Two sockets cannot listen on one port of one address, and one on all addresses takes the port everywhere.
fn unique_addresses(config: &Config, reading: &Reading<'_>) {
    let first = [("proxy.listen".to_owned(), Some(config.proxy.listen)), ("api.listen".to_owned(), config.api.listen)];
    let others = config.listeners.iter().enumerate();
    let others = others.map(|(index, listener)| (format!("listener[{index}].listen"), Some(listener.listen)));
    let all: Vec<_> = first.into_iter().chain(others).filter_map(|(path, address)| Some((path, address?))).collect();
    for (index, (path, address)) in all.iter().enumerate() {
        if let Some((other, taken)) = all.iter().take(index).find(|(_, taken)| overlap(*taken, *address)) {
            reading.problem(path.as_str(), format_args!("{address} is taken already: {other} is {taken}"));
        }
    }
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    // `[::]` hears IPv4 too, where the system does not say otherwise.
    let all = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    a.port() == b.port() && a.port() != 0 && (one == other || all(one, other) || all(other, one))
}

fn count(section: &mut Section<'_>, key: &'static str, range: RangeInclusive<i64>) -> Option<usize> {
    section.integer(key, range).and_then(|number| usize::try_from(number).ok())
}

fn small(section: &mut Section<'_>, key: &'static str, range: RangeInclusive<i64>) -> Option<u32> {
    section.integer(key, range).and_then(|number| u32::try_from(number).ok())
}

fn proxy(mut section: Section<'_>) -> ProxyConfig {
    let limits = limits();
    let names = Strategy::ALL.map(Strategy::name).join(", ");
    let proxy = ProxyConfig {
        listen: section.address("listen").unwrap_or_else(|| ([127, 0, 0, 1], 8000).into()),
        strategy: section
            .parsed("strategy", &format!("one of {names}"), |text| text.parse().ok())
            .unwrap_or(Strategy::Smart),
        attempts: small(&mut section, "attempts", 1..=32).unwrap_or(16),
        hedge_percent: small(&mut section, "hedge_percent", 0..=100).unwrap_or(5),
        repeat_unsafe: section.boolean("repeat_unsafe").unwrap_or(false),
        name_exit: section.boolean("name_exit").unwrap_or(true),
        deadline: section.duration("deadline", limits.timeout.clone()).unwrap_or(Duration::from_secs(30)),
        node_wait: section
            .duration("node_wait", Duration::ZERO..=*limits.timeout.end())
            .unwrap_or(Duration::from_secs(5)),
        idle_timeout: section.duration("idle_timeout", limits.long.clone()).unwrap_or(Duration::from_secs(600)),
        udp_idle_timeout: section.duration("udp_idle_timeout", limits.long.clone()).unwrap_or(Duration::from_secs(300)),
        handshake_timeout: section.duration("handshake_timeout", limits.timeout).unwrap_or(Duration::from_secs(10)),
        max_connections: count(&mut section, "max_connections", 1..=1_000_000).unwrap_or(16_384),
        max_pending_per_client: count(&mut section, "max_pending_per_client", 1..=1_000_000).unwrap_or(256),
        max_associations: count(&mut section, "max_associations", 1..=1_000_000).unwrap_or(1024),
        max_sessions: count(&mut section, "max_sessions", 1..=10_000_000).unwrap_or(100_000),
        max_sessions_per_user: count(&mut section, "max_sessions_per_user", 1..=10_000_000).unwrap_or(10_000),
        drain: section.duration("drain", Duration::ZERO..=Duration::from_secs(3600)).unwrap_or(Duration::from_secs(10)),
        users: users(&mut section),
        client_limits: listener::limits(section.section("client_limits")),
    };
    if is_public(proxy.listen) && proxy.users.is_empty() {
        section.problem(
            "listen",
            format_args!(
                "{} can be reached from other machines: add users = [{{ name = \"…\", password = \"…\" }}], or listen on 127.0.0.1",
                proxy.listen
            ),
        );
    }
    section.finish();
    proxy
}

/// Reads the users of a listener. Of two with one name only one could ever log in.
pub(super) fn users(section: &mut Section<'_>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for user in section.sections("users").into_iter().filter_map(user) {
        if users.iter().any(|other| other.name == user.name) {
            section.problem("users", format_args!("two users are named {:?}", user.name));
        }
        users.push(user);
    }
    users
}

fn user(mut section: Section<'_>) -> Option<User> {
    let name = section.text("name");
    let password = section.text("password");
    let readable = |name: &str| !name.contains(|c: char| c == ':' || c.is_control());
    let good = name.as_deref().is_some_and(|n| !n.is_empty() && n.len() <= 64 && readable(n));
    if !good {
        section.problem("name", "a user needs a name of 1 to 64 bytes without ':' and control characters");
    }
    let secret = password.as_deref().is_some_and(|p| !p.is_empty() && p.len() <= 255);
    if !secret {
        section.problem("password", "a user needs a password of 1 to 255 bytes");
    }
    let limits = listener::limits_of(&mut section);
    section.finish();
    (good && secret).then(|| User {
        name: name.unwrap_or_default(),
        password: password.unwrap_or_default().into(),
        limits,
    })
}

fn api(mut section: Section<'_>) -> ApiConfig {
    let enabled = section.boolean("enabled").unwrap_or(true);
    let listen = section.address("listen").unwrap_or_else(|| ([127, 0, 0, 1], 9090).into());
    let api = ApiConfig {
        listen: enabled.then_some(listen),
        token: section.parsed("token", "a text of at least 16 characters", |text| {
            (text.len() >= 16 && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Secret::new(text))
        }),
        hosts: section.texts("hosts").unwrap_or_default(),
    };
    section.finish();
    api
}

fn pool(mut section: Section<'_>) -> PoolConfig {
    let bounds = Bounds::default();
    let pool = PoolConfig {
        max_nodes: count(&mut section, "max_nodes", 1..=10_000_000).unwrap_or(bounds.total),
        max_nodes_per_source: count(&mut section, "max_nodes_per_source", 1..=10_000_000).unwrap_or(bounds.per_source),
        max_nodes_per_server: count(&mut section, "max_nodes_per_server", 1..=10_000_000).unwrap_or(bounds.per_server),
        allow_insecure: section.boolean("allow_insecure").unwrap_or(true),
    };
    section.finish();
    pool
}

fn probe(mut section: Section<'_>) -> ProbeConfig {
    let limits = limits();
    let default_url = known_url("https://www.gstatic.com/generate_204");
    let timeout = section.duration("timeout", limits.timeout.clone()).unwrap_or(Duration::from_secs(5));
    let trace = section.parsed("trace_url", "an http or https URL, or \"\" for none", url_or_none);
    let canaries = canaries(&mut section);
    let probe = ProbeConfig {
        url: section.url("url").unwrap_or(default_url),
        expect_status: section
            .integer("expect_status", 100..=599)
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(204),
        expect_body: section.text("expect_body"),
        timeout,
        connect_timeout: section.duration("connect_timeout", limits.timeout).unwrap_or(timeout),
        interval: section.duration("interval", limits.interval.clone()).unwrap_or(Duration::from_secs(60)),
        dead_after: small(&mut section, "dead_after", 1..=100).unwrap_or(3),
        forget_after: section.duration("forget_after", limits.long.clone()).unwrap_or(Duration::from_secs(72 * 3600)),
        concurrency: count(&mut section, "concurrency", 1..=100_000),
        per_second: small(&mut section, "per_second", 1..=1_000_000).unwrap_or(500),
        per_host: count(&mut section, "per_host", 1..=10_000).unwrap_or(8),
        per_host_per_second: small(&mut section, "per_host_per_second", 0..=1_000_000).unwrap_or(16),
        trace_url: trace.unwrap_or_else(|| Some(known_url("https://www.cloudflare.com/cdn-cgi/trace"))),
        trace_interval: section.duration("trace_interval", limits.interval).unwrap_or(Duration::from_secs(86_400)),
        canaries,
        quarantine: section.duration("quarantine", limits.long).unwrap_or(Duration::from_secs(86_400)),
        control: section.urls("control").unwrap_or_else(|| {
            vec![known_url("http://cp.cloudflare.com/generate_204"), known_url("http://www.gstatic.com/generate_204")]
        }),
    };
    section.finish();
    probe
}

/// Reads a URL, or the empty text that stands for none.
fn url_or_none(text: &str) -> Option<Option<Url>> {
    if text.is_empty() { Some(None) } else { http_url(text).map(Some) }
}

/// The pages that show whether a node tampers: the usual ones, none (`""`), or one by its URL and its text or the hash of
/// it.
fn canaries(section: &mut Section<'_>) -> Vec<CanaryPage> {
    let url = section.parsed("canary_url", "an http or https URL, or \"\" for none", url_or_none);
    let text = section.text("canary_text").map(|text| CanaryBody::Text(text.into()));
    let hash = section.parsed("canary_sha256", "64 hexadecimal digits", sha256).map(CanaryBody::Sha256);
    let given = text.is_some() || hash.is_some();
    match (url, text.xor(hash)) {
        (None, None) if !given => CanaryPage::usual(),
        (Some(None), None) if !given => Vec::new(),
        (Some(Some(url)), Some(body)) => vec![CanaryPage { url, body }],
        _ => {
            section.problem("canary_url", "a canary needs canary_url and one of canary_text and canary_sha256");
            Vec::new()
        }
    }
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate().filter(|_| digits) {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    digits.then_some(hash)
}

fn fetch(mut section: Section<'_>) -> FetchConfig {
    let fetch = FetchConfig {
        timeout: section.duration("timeout", limits().timeout).unwrap_or(Duration::from_secs(60)),
        github_api: section.url("github_api").unwrap_or_else(|| known_url("https://api.github.com")),
        github_raw: section.url("github_raw").unwrap_or_else(|| known_url("https://raw.githubusercontent.com")),
        telegram: section.url("telegram").unwrap_or_else(|| known_url("https://t.me")),
    };
    section.finish();
    fetch
}

fn geo(mut section: Section<'_>, folder: Option<&Path>) -> GeoConfig {
    let mmdb = section.text("mmdb").filter(|file| !file.is_empty());
    section.finish();
    GeoConfig { mmdb: mmdb.map(|file| beside(folder, &file)) }
}

fn store(mut section: Section<'_>) -> StoreConfig {
    let expected = "\"sqlite:FILE\"";
    let url = section.parsed("url", expected, |text| {
        text.strip_prefix("sqlite:").filter(|file| !file.is_empty()).map(|_| Secret::new(text))
    });
    section.finish();
    StoreConfig { url: url.unwrap_or_else(|| "sqlite:hezar.db".into()) }
}

fn log(mut section: Section<'_>, folder: Option<&Path>) -> LogConfig {
    let log = LogConfig {
        level: section
            .parsed(
                "level",
                "error, warn, info, debug, trace, or a filter such as \"hezar_probe=debug,info\"",
                |text| is_log_filter(text).then(|| text.to_owned()),
            )
            .unwrap_or_else(|| "info".to_owned()),
        json: section
            .parsed("format", "\"pretty\" or \"json\"", |text| match text {
                "pretty" => Some(false),
                "json" => Some(true),
                _ => None,
            })
            .unwrap_or(false),
        folder: section.text("folder").filter(|text| !text.is_empty()).map(|text| beside(folder, &text)),
        keep: count(&mut section, "keep", 1..=3650).unwrap_or(14),
        max_bytes: section.bytes("max_bytes", 1 << 20..=1 << 40).unwrap_or(1 << 30),
    };
    section.finish();
    log
}

/// Whether a text says what is logged. One word that is no level would name a module and silence all the others.
fn is_log_filter(text: &str) -> bool {
    let is_level =
        |word: &str| !word.trim().is_empty() && word.trim().parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let is_word = |part: &str| part.trim().bytes().all(|byte| byte.is_ascii_alphanumeric());
    tracing_subscriber::EnvFilter::try_new(text).is_ok() && text.split(',').all(|part| is_level(part) || !is_word(part))
}

/// A URL written in this file.
#[allow(clippy::expect_used, reason = "the argument is a constant of this file and every default is read in a test")]
fn known_url(text: &'static str) -> Url {
    Url::parse(text).expect("a valid URL")
}
