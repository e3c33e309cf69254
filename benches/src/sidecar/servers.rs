//! One server, and links to it: as Shadowsocks, which this program dials itself, and as ShadowsocksR without a disguise, which is the same on
//! the wire and which only a core dials.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{Watched, contest::accepts, free_address};

/// A method that both this program and the core speak.
const METHOD: &str = "aes-256-ctr";
const PASSWORD: &str = "the-password-of-the-benchmarks";

/// A running mihomo as the server.
#[derive(Debug)]
pub struct SsServer {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Watched,
}

impl SsServer {
    /// Starts the server in a folder of its own under `home`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(mihomo: &Path, home: &Path) -> anyhow::Result<Self> {
        let (home, address) = (home.join("server"), free_address()?);
        fs::create_dir_all(&home)?;
        let listener = json!({
            "name": "server", "type": "shadowsocks", "listen": address.ip(), "port": address.port(),
            "cipher": METHOD, "password": PASSWORD, "udp": true,
        });
        // JSON is YAML.
        let config =
            json!({ "log-level": "silent", "mode": "rule", "listeners": [listener], "rules": ["MATCH,DIRECT"] });
        let file = home.join("server.yaml");
        fs::write(&file, config.to_string())?;
        let mut command = Command::new(mihomo);
        // It would take a client for itself when the client's port is one that it dialled from.
        command.arg("-d").arg(&home).arg("-f").arg(&file).env("DISABLE_LOOPBACK_DETECTOR", "1");
        let process = Watched::start(&mut command)?;
        accepts(address).context("mihomo as the server")?;
        Ok(Self { address, _process: process })
    }
}

/// The server as a node that this program dials itself.
#[must_use]
pub fn native_link(server: SocketAddr) -> String {
    format!("ss://{}@{server}", URL_SAFE_NO_PAD.encode(format!("{METHOD}:{PASSWORD}")))
}

/// The server as nodes that only a core dials, one for each number: a setting that means nothing without a disguise makes them different.
#[must_use]
pub fn sidecar_links(server: SocketAddr, numbers: std::ops::Range<usize>) -> Vec<String> {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let link = |number: usize| {
        let name = encode(&format!("node-{number}.example"));
        encode(&format!("{server}:origin:{METHOD}:plain:{}/?obfsparam={name}", encode(PASSWORD)))
    };
    numbers.map(|number| format!("ssr://{}", link(number))).collect()
}
