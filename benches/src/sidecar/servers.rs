//! One server of several protocols, and links to it: nodes that only a core dials, and nodes that are nearly the same on the wire and that this
//! program dials itself.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    Watched,
    contest::accepts,
    free_address,
    node::{SERVER_NAME, certificate},
};

const METHOD: &str = "aes-128-gcm";
const PASSWORD: &str = "the-password-of-the-benchmarks";
const ID: &str = "7d4f4b57-6d0a-4e0f-9a43-1f0d4cf0a5b1";

/// A running mihomo as the server.
#[derive(Debug)]
pub struct CoreServer {
    snell: SocketAddr,
    shadowsocks: SocketAddr,
    tuic: [SocketAddr; 2],
    _process: Watched,
}

/// A protocol of the core beside the nearest one of this program.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What both are.
    pub name: &'static str,
    /// The node that this program dials itself.
    pub native: String,
    /// The node that only a core dials.
    pub core: String,
}

impl CoreServer {
    /// Starts the server in a folder of its own under `home`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(mihomo: &Path, home: &Path) -> anyhow::Result<Self> {
        let home = home.join("server");
        fs::create_dir_all(&home)?;
        certificate(&home)?;
        let [snell, shadowsocks, tuic4, tuic5] = [free_address()?, free_address()?, free_address()?, free_address()?];
        let listener = |name: &str, address: SocketAddr, mut settings: Value| {
            settings["name"] = json!(name);
            settings["listen"] = json!(address.ip());
            settings["port"] = json!(address.port());
            settings
        };
        let tuic = |mut settings: Value| {
            settings["type"] = json!("tuic");
            settings["certificate"] = json!(home.join("server.pem"));
            settings["private-key"] = json!(home.join("server.key"));
            settings["alpn"] = json!(["h3"]);
            settings
        };
        let obfs = json!({ "mode": "http", "host": SERVER_NAME });
        let listeners = [
            listener("snell", snell, json!({ "type": "snell", "psk": PASSWORD, "version": 4, "obfs-opts": obfs })),
            listener("ss", shadowsocks, json!({ "type": "shadowsocks", "cipher": METHOD, "password": PASSWORD })),
            listener("tuic4", tuic4, tuic(json!({ "token": [PASSWORD] }))),
            listener("tuic5", tuic5, tuic(json!({ "users": { ID: PASSWORD } }))),
        ];
        // JSON is YAML.
        let config =
            json!({ "log-level": "silent", "mode": "rule", "listeners": listeners, "rules": ["MATCH,DIRECT"] });
        let file = home.join("server.yaml");
        fs::write(&file, config.to_string())?;
        let mut command = Command::new(mihomo);
        // It would take a client for itself when the client's port is one that it dialled from.
        command.arg("-d").arg(&home).arg("-f").arg(&file).env("DISABLE_LOOPBACK_DETECTOR", "1");
        let process = Watched::start(&mut command)?;
        for address in [snell, shadowsocks] {
            accepts(address).context("mihomo as the server")?;
        }
        Ok(Self { snell, shadowsocks, tuic: [tuic4, tuic5], _process: process })
    }

    /// Nodes that only a core dials, one for each number: the name in Snell's disguise, which the server passes over, makes them different.
    #[must_use]
    pub fn core_links(&self, numbers: std::ops::Range<usize>) -> Vec<String> {
        let link = |number: usize| {
            format!("snell://{PASSWORD}@{}?version=4&obfs=http&obfs-host=node-{number}.example", self.snell)
        };
        numbers.map(link).collect()
    }

    /// What is compared.
    #[must_use]
    pub fn pairs(&self) -> [Pair; 2] {
        let [tuic4, tuic5] = self.tuic;
        let tuic = |user: &str, server: SocketAddr| {
            format!("tuic://{user}@{server}?alpn=h3&congestion_control=cubic&sni={SERVER_NAME}&insecure=1")
        };
        let shadowsocks = URL_SAFE_NO_PAD.encode(format!("{METHOD}:{PASSWORD}"));
        [
            Pair {
                name: "TUIC 5 here, TUIC 4 through the core",
                native: tuic(&format!("{ID}:{PASSWORD}"), tuic5),
                core: tuic(PASSWORD, tuic4),
            },
            Pair {
                name: "Shadowsocks aes-128-gcm here, Snell 4 (the same cipher) through the core",
                native: format!("ss://{shadowsocks}@{}", self.shadowsocks),
                core: self.core_links(0..1).remove(0),
            },
        ]
    }
}
