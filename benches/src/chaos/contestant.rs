//! The programs that carry the load: this one, and peers over the same nodes, each as its users would set it up.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    Watched,
    api::Api,
    command, configure,
    contest::accepts,
    free_address, get,
    node::certificate_for,
    phone::{LINK_HOST, subscribed, subscription, users},
    process_memory,
    sidecar::children_of,
};

/// Between two probes of a node, for everybody, in seconds.
pub const INTERVAL_SECS: u64 = 10;
/// What the API of this program asks for.
const TOKEN: &str = "the-token-of-the-benchmarks";
const PROBE: &str = "http://demo.hezar/generate_204";

/// Lines for this program's configuration.
#[derive(Clone, Debug, Default)]
pub struct ContestantSettings {
    /// Of `[probe]`.
    pub probe: String,
    /// Of `[proxy]`.
    pub proxy: String,
}

/// A running program.
#[derive(Debug)]
pub struct Contestant {
    /// Its name and the way it chooses.
    pub name: String,
    /// Where its clients connect.
    pub proxy: SocketAddr,
    /// Its API, of this program alone.
    pub api: Option<Api>,
    process: Watched,
    /// What stands between the clients and the program.
    _client: Option<Watched>,
}

impl Contestant {
    /// This program over a list of nodes.
    ///
    /// # Errors
    /// When it has not been built or does not serve.
    pub fn hezar(home: &Path, list: &str, settings: &ContestantSettings) -> anyhow::Result<Self> {
        configure(home, list, &own_lines(settings))?;
        let api = Api { address: free_address()?, token: TOKEN.to_owned() };
        Ok(Self { api: Some(api.clone()), ..Self::configured(home, api.address)? })
    }

    /// This program over a list of nodes, behind a VLESS listener with TLS and an Xray client that reads what the subscription says. It
    /// is called where blocking is allowed, in a runtime.
    ///
    /// # Errors
    /// When one of them does not serve.
    pub fn hezar_vless(xray: &Path, home: &Path, list: &str, settings: &ContestantSettings) -> anyhow::Result<Self> {
        let home = home.join("vless");
        fs::create_dir_all(&home)?;
        certificate_for(&home, &[LINK_HOST])?;
        let (listen, api) = (free_address()?, free_address()?);
        let rest = format!(
            "{}\n{}{}[[listener]]\nname = \"vless\"\nkind = \"vless\"\nlisten = \"{listen}\"\nhost = \"{LINK_HOST}\"\n\
             [listener.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n",
            own_lines(settings),
            users(),
            subscription()
        );
        configure(&home, list, &rest)?;
        let running = Self::open(&home, api)?;
        accepts(listen)?;
        let api = Api { address: api, token: TOKEN.to_owned() };
        let document = Handle::current().block_on(subscribed(&api, "xray"))?;
        let document: Value = serde_json::from_str(&document).context("the subscription for Xray")?;
        let outbounds = document["outbounds"].as_array().context("no outbounds in the subscription")?;
        let node = outbounds.iter().find(|outbound| outbound["protocol"] == "vless").context("no VLESS")?;
        let (proxy, client) = xray_client(xray, &home, node, Some(&home.join("server.pem")))?;
        let name = "hezar, behind Xray and VLESS".to_owned();
        Self { name, proxy, api: Some(api), _client: Some(client), ..running }.ready()
    }

    /// mihomo's load-balance group over the same nodes, behind an Xray client.
    ///
    /// # Errors
    /// When one of them does not serve.
    pub fn mihomo_behind_xray(xray: &Path, mihomo: &Path, home: &Path, nodes: &[SocketAddr]) -> anyhow::Result<Self> {
        let running = Self::mihomo(mihomo, home, nodes)?;
        let server = json!({ "address": running.proxy.ip(), "port": running.proxy.port() });
        let node = json!({ "protocol": "socks", "settings": { "servers": [server] } });
        let (proxy, client) = xray_client(xray, home, &node, None)?;
        let name = "mihomo, load-balance, behind Xray".to_owned();
        Self { name, proxy, _client: Some(client), ..running }.ready()
    }

    /// This program with Clash cores as its engine, over a list of nodes; its files lie in a folder of `home`.
    ///
    /// # Errors
    /// When it has not been built or does not serve.
    pub fn hezar_clash(mihomo: &Path, home: &Path, list: &str, settings: &ContestantSettings) -> anyhow::Result<Self> {
        let home = home.join("clash");
        fs::create_dir_all(&home)?;
        let rest = format!(
            "interval = \"{INTERVAL_SECS}s\"\n{}\n[api]\ntoken = \"{TOKEN}\"\n[engine]\nkind = \"clash\"\n[sidecar]\nmihomo = \"{}\"\n",
            settings.probe,
            mihomo.display()
        );
        configure(&home, list, &rest)?;
        let api = Api { address: free_address()?, token: TOKEN.to_owned() };
        let running = Self::configured(&home, api.address)?;
        Ok(Self { name: "hezar, engine = \"clash\"".to_owned(), api: Some(api), ..running })
    }

    /// This program as the configuration in its home says.
    ///
    /// # Errors
    /// When it has not been built or does not serve.
    pub fn configured(home: &Path, api: SocketAddr) -> anyhow::Result<Self> {
        Self::open(home, api)?.ready()
    }

    /// The same, as soon as its API answers: whether it serves is not asked.
    ///
    /// # Errors
    /// When it has not been built or does not start.
    pub fn open(home: &Path, api: SocketAddr) -> anyhow::Result<Self> {
        let proxy = free_address()?;
        let arguments = ["run", "--listen", &proxy.to_string(), "--api", &api.to_string()].map(str::to_owned);
        let process = Watched::start(&mut command(home, &arguments.each_ref().map(String::as_str))?)?;
        let begun = Instant::now();
        while get(api, "/healthz", Duration::from_secs(5)).is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(60), "hezar does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { name: "hezar".to_owned(), proxy, api: None, process, _client: None })
    }

    /// sing-box's urltest group over the same nodes.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn sing_box(program: &Path, home: &Path, nodes: &[SocketAddr]) -> anyhow::Result<Self> {
        let proxy = free_address()?;
        let names: Vec<String> = (0..nodes.len()).map(|number| format!("node-{number}")).collect();
        let mut outbounds: Vec<_> = nodes
            .iter()
            .zip(&names)
            .map(
                |(node, name)| json!({ "type": "socks", "tag": name, "server": node.ip(), "server_port": node.port() }),
            )
            .collect();
        let interval = format!("{INTERVAL_SECS}s");
        outbounds
            .push(json!({ "type": "urltest", "tag": "all", "outbounds": names, "url": PROBE, "interval": interval }));
        let config = json!({
            "log": { "disabled": true },
            "inbounds": [{ "type": "mixed", "listen": proxy.ip(), "listen_port": proxy.port() }],
            "outbounds": outbounds,
            "route": { "final": "all" },
        });
        let file = home.join("sing-box.json");
        fs::write(&file, config.to_string())?;
        let process = Watched::start(Command::new(program).arg("run").arg("-c").arg(&file).current_dir(home))?;
        Self { name: "sing-box, urltest".to_owned(), proxy, api: None, process, _client: None }.ready()
    }

    /// mihomo's load-balance group, round-robin, over the same nodes.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn mihomo(program: &Path, home: &Path, nodes: &[SocketAddr]) -> anyhow::Result<Self> {
        let proxy = free_address()?;
        let names: Vec<String> = (0..nodes.len()).map(|number| format!("node-{number}")).collect();
        let proxies: Vec<_> = nodes
            .iter()
            .zip(&names)
            .map(|(node, name)| json!({ "name": name, "type": "socks5", "server": node.ip(), "port": node.port() }))
            .collect();
        // JSON is YAML.
        let config = json!({
            "mixed-port": proxy.port(), "bind-address": "127.0.0.1", "mode": "rule", "log-level": "silent",
            "geodata-mode": false, "geo-auto-update": false,
            "proxies": proxies,
            "proxy-groups": [{
                "name": "all", "type": "load-balance", "strategy": "round-robin", "proxies": names,
                "url": PROBE, "interval": INTERVAL_SECS, "lazy": false,
            }],
            "rules": ["MATCH,all"],
        });
        let file = home.join("mihomo.yaml");
        fs::write(&file, config.to_string())?;
        let process = Watched::start(Command::new(program).arg("-d").arg(home).arg("-f").arg(&file).current_dir(home))?;
        Self { name: "mihomo, load-balance round-robin".to_owned(), proxy, api: None, process, _client: None }.ready()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The same together with the cores that it has started.
    pub fn memory_with_cores(&mut self) -> (u64, u64) {
        let (peak, resident) = self.memory();
        let cores = children_of(self.pid()).into_iter().map(process_memory);
        cores.fold((peak, resident), |(peak, resident), core| (peak + core.0, resident + core.1))
    }

    /// Its peak and its present resident memory, in KiB.
    pub fn memory(&mut self) -> (u64, u64) {
        self.process.memory()
    }

    /// The CPU time that it has used so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    /// Waits until a request comes through.
    fn ready(self) -> anyhow::Result<Self> {
        let begun = Instant::now();
        while !matches!(get(self.proxy, PROBE, Duration::from_secs(5)), Ok((204, _))) {
            ensure!(begun.elapsed() < Duration::from_secs(60), "{} does not serve", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(self)
    }
}

/// The configuration of this program behind the settings that all contestants share.
fn own_lines(settings: &ContestantSettings) -> String {
    format!(
        "interval = \"{INTERVAL_SECS}s\"\n{}\n[api]\ntoken = \"{TOKEN}\"\n[proxy]\nmax_connections = 100000\n{}",
        settings.probe, settings.proxy
    )
}

/// Xray with one node and a port for HTTP and SOCKS; it trusts a certificate.
fn xray_client(
    xray: &Path,
    home: &Path,
    node: &Value,
    certificate: Option<&Path>,
) -> anyhow::Result<(SocketAddr, Watched)> {
    let proxy = free_address()?;
    let config = json!({
        "log": { "loglevel": "none" },
        "inbounds": [{ "protocol": "mixed", "listen": proxy.ip(), "port": proxy.port() }],
        "outbounds": [node],
    });
    let file = home.join("xray.json");
    fs::write(&file, config.to_string())?;
    let mut command = Command::new(xray);
    command.arg("run").arg("-c").arg(&file).current_dir(home);
    if let Some(certificate) = certificate {
        command.env("SSL_CERT_FILE", certificate);
    }
    let process = Watched::start(&mut command)?;
    accepts(proxy).context("Xray as the client")?;
    Ok((proxy, process))
}

/// A peer that `cargo xtask peers install` has put into the cache folder.
#[must_use]
pub fn peer(name: &str) -> Option<PathBuf> {
    let cache = || {
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        Some(std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home)?.join("hezar/peers"))
    };
    let folder = std::env::var_os("HEZAR_PEERS").map(PathBuf::from).or_else(cache)?;
    let versions = fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<_> = versions
        .filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}-"))))
        .map(|path| path.join(name))
        .filter(|program| program.is_file())
        .collect();
    found.sort();
    found.pop()
}
