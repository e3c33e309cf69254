//! A lab world with Hezar over it, and a certificate authority whose root the clients trust.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use hezar_interop::harness::{Running, ask, eventually};
use hezar_lab::{Kind, World, WorldConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

/// The token of the API.
const TOKEN: &str = "token-for-the-api";
/// A page that the lab's nodes reach.
pub(super) const PAGE: &str = "http://demo.hezar/generate_204";

/// A certificate authority in a folder: its root is `root.pem`.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut root = CertificateParams::new(vec!["Root of a test".to_owned()]).unwrap();
        root.distinguished_name.push(DnType::CommonName, "Root of a test");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("root.pem"), issuer.pem()).unwrap();
        Self { issuer, folder: folder.to_owned() }
    }

    /// The file with the root.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// Writes a new certificate for these names as `NAME.pem` and its key as `NAME.key`, each put in its place whole.
    pub(crate) fn issue(&self, file: &str, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let mut parameters =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, file);
        parameters.use_authority_key_identifier_extension = true;
        let leaf = parameters.signed_by(&key, &self.issuer).unwrap();
        for (ending, text) in [("key", key.serialize_pem()), ("pem", leaf.pem() + &self.issuer.pem())] {
            let new = self.folder.join(format!("{file}.{ending}.new"));
            fs::write(&new, text).unwrap();
            fs::rename(&new, self.folder.join(format!("{file}.{ending}"))).unwrap();
        }
    }
}

/// The lab, and Hezar over it.
pub(super) struct TlsWorld {
    pub(super) api: SocketAddr,
    pub(super) folder: PathBuf,
    hezar: Option<Running>,
    program: PathBuf,
    world: Option<World>,
    runtime: tokio::runtime::Runtime,
    _folder: Option<TempDir>,
}

impl TlsWorld {
    /// Starts a lab and Hezar with this configuration, to which the API, the probes and the nodes are added. `files` is the folder
    /// of the configuration.
    pub(super) fn start(program: &Path, folder: TempDir, api: SocketAddr, config: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let kinds = [Kind::Socks5, Kind::Http, Kind::ShadowsocksAes128, Kind::Trojan];
        let world = runtime.block_on(World::start(WorldConfig::kinds(kinds))).unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("list.txt"), world.links()).unwrap();
        let text = format!(
            "{config}\n[probe]\nurl = \"{PAGE}\"\ntrace_url = \"http://demo.hezar/cdn-cgi/trace\"\ncanary_url = \"\"\n\
             control = []\n[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n"
        );
        fs::write(path.join("hezar.toml"), text).unwrap();
        let mut started = Self {
            api,
            folder: path,
            hezar: None,
            program: program.to_owned(),
            world: Some(world),
            runtime,
            _folder: Some(folder),
        };
        started.start_hezar();
        started
    }

    /// Starts Hezar (again), and waits until its API answers.
    pub(super) fn start_hezar(&mut self) {
        drop(self.hezar.take());
        let file = self.folder.join("hezar.toml");
        let own = self.folder.join("own");
        fs::create_dir_all(&own).unwrap();
        let mut hezar = Running::start(&self.program, &["--config", file.to_str().unwrap(), "run"], &own);
        hezar.accepts(self.api);
        self.hezar = Some(hezar);
    }

    /// Waits until every node works.
    pub(super) fn wait_for_nodes(&self) {
        eventually("every node works", || (self.status()["nodes"]["healthy"] == 4).then_some(()));
    }

    pub(super) fn log(&self) -> String {
        self.hezar.as_ref().map(Running::log).unwrap_or_default()
    }

    /// An answer of the API, which may be asked plainly from this machine.
    pub(super) fn get(&self, path: &str) -> Value {
        let answer = ask(self.api, "GET", path, &format!("Authorization: Bearer {TOKEN}\r\n"), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    pub(super) fn status(&self) -> Value {
        self.get("/api/v1/status")
    }

    /// What the status says of the certificate of a port.
    pub(super) fn certificate(&self, port: &str) -> Value {
        let status = self.status();
        let all = status["certificates"].as_array().unwrap();
        all.iter().find(|certificate| certificate["port"] == port).cloned().unwrap_or_default()
    }

    /// The metrics.
    pub(super) fn metrics(&self) -> String {
        ask(self.api, "GET", "/metrics", "", "").body
    }
}

impl Drop for TlsWorld {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
        drop(self.hezar.take());
        if let Some(world) = self.world.take() {
            self.runtime.block_on(world.shutdown());
        }
    }
}

/// The configuration of the API.
pub(super) fn api_config(api: SocketAddr) -> String {
    format!("[api]\nlisten = \"{api}\"\ntoken = \"{TOKEN}\"\n")
}

/// What curl ended with: its code, and what it printed.
pub(super) struct Curl {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

impl Curl {
    /// Runs curl, bounded in time; it prints the head and the body of the answer.
    pub(super) fn run(curl: &Path, arguments: &[&str]) -> Self {
        let output = Command::new(curl)
            .args(["--silent", "--show-error", "--include", "--max-time", "20", "--noproxy", ""])
            .args(arguments)
            .env_clear()
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Self { code: output.status.code(), text: text.into_owned() }
    }

    /// Whether the page of the lab came.
    pub(super) fn served(&self) -> bool {
        self.code == Some(0) && self.text.contains(" 204 ")
    }
}
