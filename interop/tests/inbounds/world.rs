//! A lab world, and Hezar over it with all listeners of a peer.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hezar_interop::{
    Peer,
    harness::{Answer, Running, ask, eventually, listening_addresses, programs},
};
use hezar_lab::{Kind, World as Lab, WorldConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rows::Row;

/// The token of the API.
const TOKEN: &str = "token-for-the-api";
/// The name in certificates and links.
const HOST: &str = "localhost";

/// Everything but the clients.
pub(crate) struct World {
    pub(crate) rows: Vec<(Row, SocketAddr)>,
    pub(crate) runtime: tokio::runtime::Runtime,
    api: SocketAddr,
    folder: TempDir,
    lab: Option<Lab>,
    hezar: Option<Running>,
}

impl World {
    /// Starts all of it for one peer. `None`, with a line that says so, when a program is not there and need not be.
    pub(crate) fn start(peer: Peer) -> Option<Self> {
        Self::start_with(peer, |_| true)
    }

    /// The same with some of its listeners; `None` also when none is left.
    pub(crate) fn start_with(peer: Peer, chosen: impl Fn(&Row) -> bool) -> Option<Self> {
        let (program, [_]) = programs("inbounds", [peer.name()])?;
        let rows: Vec<Row> = Row::of(peer).into_iter().filter(chosen).collect();
        (!rows.is_empty()).then(|| Self::with(&program, rows))
    }

    /// Starts all of it with these listeners.
    pub(crate) fn with(program: &Path, rows: Vec<Row>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let lab = runtime.block_on(Lab::start(WorldConfig::kinds(Kind::ALL))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        make_certificates(folder.path());
        fs::write(folder.path().join("list.txt"), lab.links()).unwrap();
        let mut addresses = listening_addresses(rows.len() + 2);
        let (proxy, api) = (addresses.pop().unwrap(), addresses.pop().unwrap());
        let rows: Vec<(Row, SocketAddr)> = rows.into_iter().zip(addresses).collect();
        let file = folder.path().join("hezar.toml");
        fs::write(&file, config(proxy, api, &rows)).unwrap();
        let mut hezar = Running::start(program, &["--config", file.to_str().unwrap(), "run"], folder.path());
        hezar.accepts(api);
        let nodes = lab.nodes().len();
        let world = Self { rows, runtime, api, folder, lab: Some(lab), hezar: Some(hezar) };
        eventually("every node works", || {
            let status: Value = serde_json::from_str(&world.api("GET", "/api/v1/status", &Value::Null).body).ok()?;
            (status["nodes"]["healthy"].as_u64()? == nodes as u64).then_some(())
        });
        world
    }

    /// A request to the API.
    pub(crate) fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
        ask(self.api, method, path, &headers, &body)
    }

    /// Makes a user with a subscription, and returns the address of the subscription.
    pub(crate) fn add_user(&self, name: &str) -> String {
        let made = self.api("POST", "/api/v1/users", &json!({ "name": name, "password": "not for phones" }));
        assert!((200..300).contains(&made.status), "{} {}", made.status, made.body);
        let token = format!("{name:-<20}");
        let subscription = json!({ "name": name, "token": token, "user": name });
        let made = self.api("POST", "/api/v1/subscriptions", &subscription);
        assert!((200..300).contains(&made.status), "{} {}", made.status, made.body);
        format!("/sub/{token}?doors=1")
    }

    /// Removes a user with its subscription.
    pub(crate) fn remove_user(&self, name: &str) {
        for kind in ["subscriptions", "users"] {
            let removed = self.api("DELETE", &format!("/api/v1/{kind}/{name}"), &Value::Null);
            assert!((200..300).contains(&removed.status), "{}", removed.body);
        }
    }

    /// What a subscription gives the clients of a form.
    pub(crate) fn read(&self, subscription: &str, target: &str) -> String {
        let answer = ask(self.api, "GET", &format!("{subscription}&target={target}"), "", "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// The bytes that a user has moved, in both directions.
    pub(crate) fn used(&self, user: &str) -> u64 {
        let usage: Value =
            serde_json::from_str(&self.api("GET", &format!("/api/v1/users/{user}/usage"), &Value::Null).body).unwrap();
        usage["total"]["up"].as_u64().unwrap() + usage["total"]["down"].as_u64().unwrap()
    }

    /// A folder of its own for another program.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// The root that the certificates of the listeners are signed by, PEM.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// The end of what Hezar has written.
    pub(crate) fn log(&self) -> String {
        let log = self.hezar.as_ref().map(Running::log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.hezar.take());
        if let Some(lab) = self.lab.take() {
            self.runtime.block_on(lab.shutdown());
        }
    }
}

fn config(proxy: SocketAddr, api: SocketAddr, rows: &[(Row, SocketAddr)]) -> String {
    let mut config = format!(
        "[proxy]\nlisten = \"{proxy}\"\n[api]\nlisten = \"{api}\"\ntoken = \"{TOKEN}\"\n\
         [probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"http://demo.hezar/cdn-cgi/trace\"\n\
         canary_url = \"\"\ncontrol = []\ntimeout = \"30s\"\n\
         [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n"
    );
    for (row, address) in rows {
        let (name, settings) = (row.name, row.settings());
        let host = row.front.map_or(HOST.to_owned(), |port| format!("{HOST}:{port}"));
        writeln!(config, "[[listener]]\nname = \"{name}\"\nlisten = \"{address}\"\nhost = \"{host}\"\n{settings}")
            .unwrap();
    }
    config
}

/// A root, and a server's certificate signed by it.
pub(crate) fn make_certificates(folder: &Path) {
    let mut authority = CertificateParams::new(vec!["Inbounds Root".to_owned()]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate for a self-signed one whose names are equal.
    authority.distinguished_name.push(DnType::CommonName, "Inbounds Root");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let server = params.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("root.pem"), authority.pem()).unwrap();
    fs::write(folder.join("server.pem"), server.pem() + &authority.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}
