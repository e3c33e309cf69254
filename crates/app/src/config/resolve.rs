//! From the text of a configuration to its meaning: the one step that may fail.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hezar_accept::PortTls;
use hezar_api::{ApiSettings, ClashSettings};
use hezar_core::settings::{Settings, is_public};
use hezar_gateway::{GatewayConfig, PortRange};
use hezar_pool::HealthSettings;
use hezar_probe::{CanaryBody, CanaryPage, ProbeConfig};
use hezar_store::StoreSettings;
use toml::{Table, de::DeTable};
use url::Url;

use crate::{inherited_sockets::SocketPlace, places::DATA_FOLDER};

use super::{
    AccessLogConfig, Config, GeoConfig, Layers, ListenerConfig, LogConfig, ObjectKey, ObjectKind, Problem, Problems,
    StoredObject, TorSettings, alert, cluster, engine,
    feedback::feedback_rules,
    inbound, lines, listener,
    section::{Reading, Section},
    source::{self, MANUAL_SOURCES},
    subscription,
    user::users,
};

/// What makes an address safe that other machines can reach.
pub(super) const MAKE_SAFE: &str = "add users = [{ name = \"…\", password = \"…\" }], or listen on 127.0.0.1; \
     in a container or a network that you trust, open_to = [\"private\"] lets clients with private addresses in without users";

/// Why a public network cannot be named in `open_to`.
pub(super) const ONLY_PRIVATE: &str =
    "only private networks can do without users, such as \"private\" or \"192.168.1.0/24\"; add users for all others";

pub(crate) fn config(
    text: &str,
    path: Option<&Path>,
    layers: &Layers,
    objects: &[StoredObject],
) -> Result<Config, Problems> {
    let mut table: Table = toml::from_str(text).map_err(|error| {
        let (line, message) = lines::syntax_error(text, &error);
        Problems(vec![Problem { path: String::new(), line, object: None, message }])
    })?;
    engine::expand_short_form(&mut table);
    let mut reading = Reading::new(layers, text);
    reading.merge(&mut table, objects);
    let config = root(Section::new(&reading, "", table), &reading, path, layers);
    note_objects(&config, &reading);
    let origins = reading.origins();
    let (problems, mut warnings) = reading.finish();
    warnings.extend(inbound::warnings(&config));
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    Ok(Config { text: text.into(), warnings, origins, ..config })
}

/// Notes where each object is said. Where one could not be read, the configuration is not used anyway.
fn note_objects(config: &Config, reading: &Reading<'_>) {
    let sources = config.sources.iter().map(|source| (ObjectKind::Source, source.name.as_str()));
    let listeners = config.listeners.iter().map(|listener| (ObjectKind::Listener, &*listener.name));
    let subscriptions = config.subscriptions.iter().map(|given| (ObjectKind::Subscription, &*given.name));
    let users = config.proxy.users.iter().map(|user| (ObjectKind::User, &*user.name));
    let places = [
        ("source", sources.collect::<Vec<_>>()),
        ("listener", listeners.collect()),
        ("proxy.users", users.collect()),
        ("subscription", subscriptions.collect()),
    ];
    for (path, objects) in places {
        for (index, (kind, name)) in objects.into_iter().enumerate() {
            reading.note_origin(ObjectKey::new(kind, name), &format!("{path}[{index}]"));
        }
    }
}

fn root(mut root: Section<'_>, reading: &Reading<'_>, path: Option<&Path>, layers: &Layers) -> Config {
    let folder = path.and_then(Path::parent);
    let beside_file = |path: Option<PathBuf>| path.map(|path| beside(folder, &path));
    // In this order unknown keys are told what is known.
    let (data, proxy) = (data_folder(root.text("data"), folder, layers), proxy(root.section("proxy"), folder));
    let (probe, health) = probe(root.section("probe"));
    let (geo, log): (GeoConfig, LogConfig) = (plain(root.section("geo")), plain(root.section("log")));
    let clash: ClashSettings = plain(root.section("clash"));
    let (store, access_log): (StoreSettings, AccessLogConfig) =
        (plain(root.section("store")), plain(root.section("access_log")));
    let config = Config {
        file: path.map(Path::to_owned),
        text: "".into(),
        warnings: Vec::new(),
        origins: BTreeMap::new(),
        left_out: Vec::new(),
        data,
        proxy,
        api: api(root.section("api"), folder),
        clash: ClashSettings { ui: beside_file(clash.ui), ..clash },
        engine: engine::engine(root.section("engine")),
        pool: plain(root.section("pool")),
        health,
        probe,
        fetch: plain(root.section("fetch")),
        tls: plain(root.section("tls")),
        geo: GeoConfig {
            mmdb: beside_file(geo.mmdb),
            asn_mmdb: beside_file(geo.asn_mmdb),
            city_mmdb: beside_file(geo.city_mmdb),
        },
        store: StoreSettings { memory_folder: beside_file(store.memory_folder), ..store },
        cluster: cluster::cluster(root.section("cluster")),
        log: LogConfig { folder: beside_file(log.folder), ..log },
        access_log: AccessLogConfig { folder: beside_file(access_log.folder), ..access_log },
        otlp: plain(root.section("otlp")),
        tor: tor(root.section("tor")),
        sidecar: plain(root.section("sidecar")),
        sources: root.sections("source").into_iter().filter_map(|section| source::source(section, folder)).collect(),
        listeners: Vec::new(),
        subscriptions: Vec::new(),
        alerts: alert::alerts(root.sections("alert")),
    };
    let listeners = root.sections("listener");
    let config = Config { listeners: listener::listeners(listeners, &config), ..config };
    let subscriptions = root.sections("subscription");
    let config = Config { subscriptions: subscription::subscriptions(subscriptions, &config), ..config };
    root.finish();
    cluster::check(&config, reading);
    unique_names(&config, reading);
    unique_addresses(&config, reading);
    config
}

/// The data folder of a configuration text, which is read for the key `data` alone: mistakes elsewhere in it do not matter.
pub(super) fn data_folder_alone(text: &str, path: Option<&Path>, layers: &Layers) -> PathBuf {
    let (table, _mistakes) = DeTable::parse_recoverable(text);
    let key = table.get_ref().get("data").and_then(|value| value.get_ref().as_str()).map(str::to_owned);
    data_folder(key, path.and_then(Path::parent), layers)
}

/// What a flag says, else the key of the file, else where such files have their data.
fn data_folder(key: Option<String>, folder: Option<&Path>, layers: &Layers) -> PathBuf {
    let key = key.filter(|data| !data.is_empty());
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
pub(super) fn beside(folder: Option<&Path>, path: impl AsRef<Path>) -> PathBuf {
    folder.map_or_else(|| path.as_ref().to_owned(), |folder| folder.join(&path))
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

/// A socket that the configuration asks for: where it is said, and where it is bound.
type WantedSocket = (String, SocketPlace);

/// Two sockets of one protocol cannot listen on one port of one address, and one on all addresses takes the port everywhere.
fn unique_addresses(config: &Config, reading: &Reading<'_>) {
    let first = [
        ("proxy.listen".to_owned(), Some(config.proxy.listen)),
        ("api.listen".to_owned(), config.api.address()),
        ("engine.expose_controller".to_owned(), config.engine.expose_controller),
        ("engine.expose_gateway_controller".to_owned(), config.engine.expose_gateway_controller),
    ];
    let first = first.into_iter().filter_map(|(path, address)| Some((path, SocketPlace::tcp(address?))));
    let others = config.listeners.iter().enumerate().flat_map(|(index, listener)| listener_sockets(index, listener));
    let all: Vec<WantedSocket> = first.chain(others).collect();
    for (index, (path, place)) in all.iter().enumerate() {
        if let Some((other, taken)) = all.iter().take(index).find(|(_, taken)| taken.overlaps(*place)) {
            let (other, address, taken) = (reading.shown_path(other), place.address, taken.address);
            reading.problem(path.as_str(), format_args!("{address} is taken already: {other} is {taken}"));
        }
    }
}

/// The sockets of one listener.
fn listener_sockets(index: usize, listener: &ListenerConfig) -> impl Iterator<Item = WantedSocket> {
    let own = SocketPlace::of_listener(listener.kind, listener.listen);
    let own = own.map(move |place| (format!("listener[{index}].listen"), place));
    let ports = listener.ports.into_iter().flat_map(PortRange::ports).map(move |port| {
        let address = SocketAddr::new(listener.listen.ip(), port);
        (format!("listener[{index}].ports"), SocketPlace::tcp(address))
    });
    own.chain(ports)
}

/// The settings of a section that has nothing but settings.
pub(super) fn plain<S: Settings>(mut section: Section<'_>) -> S {
    let mut settings = S::default();
    section.fill_object(&mut settings);
    section.finish();
    settings
}

/// The TLS of the port that a section describes; relative files lie in `folder`.
pub(super) fn port_tls(section: &mut Section<'_>, folder: Option<&Path>) -> PortTls {
    let mut table = section.section("tls");
    let mut tls = PortTls::default();
    table.fill_object(&mut tls);
    if let Err(mistake) = tls.source() {
        table.problem(mistake.key, &mistake);
    }
    table.finish();
    tls.beside(folder)
}

fn api(mut section: Section<'_>, folder: Option<&Path>) -> ApiSettings {
    let mut api = ApiSettings::default();
    section.fill(&mut api);
    api.tls = port_tls(&mut section, folder);
    section.finish();
    api
}

fn proxy(mut section: Section<'_>, folder: Option<&Path>) -> GatewayConfig {
    let mut proxy = GatewayConfig::default();
    section.fill(&mut proxy);
    section.fill(&mut proxy.rules);
    proxy.feedback = feedback_rules(&mut section);
    proxy.users = users(&mut section);
    proxy.client_limits = plain(section.section("client_limits"));
    proxy.tls = port_tls(&mut section, folder);
    if is_public(proxy.listen) && proxy.users.is_empty() && proxy.open_to.is_empty() {
        section.problem("listen", format_args!("{} can be reached from other machines: {MAKE_SAFE}", proxy.listen));
    }
    if !proxy.open_to.are_private() {
        section.problem("open_to", ONLY_PRIVATE);
    }
    section.finish();
    proxy
}

fn tor(mut section: Section<'_>) -> TorSettings {
    let mut tor = TorSettings::default();
    section.fill(&mut tor);
    if tor.options.iter().any(|line| line.contains(char::is_control)) {
        section.problem("options", "each text is one line of Tor's configuration");
    }
    section.finish();
    tor
}

fn probe(mut section: Section<'_>) -> (ProbeConfig, HealthSettings) {
    let (mut probe, mut health) = (ProbeConfig::default(), HealthSettings::default());
    section.fill(&mut probe);
    section.fill(&mut health);
    if !section.was_given("connect_timeout") {
        probe.connect_timeout = probe.timeout;
    }
    if probe.judge_url.as_ref().is_some_and(|url| url.scheme() != "http") {
        section.problem("judge_url", "a judge needs an http URL: nobody adds headers to https");
    }
    probe.canaries = canaries(&mut section);
    section.finish();
    (probe, health)
}

/// The pages that show whether a node tampers: the usual ones, none (`""`), or one by its URL and its text or the hash of
/// it.
fn canaries(section: &mut Section<'_>) -> Vec<CanaryPage> {
    let url = section.value::<Option<Url>>("canary_url", &());
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
