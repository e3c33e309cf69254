//! The servers that are compared, the client that all of them have, and the node through which all of them go out.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::json;

use super::{InboundKind, Shown};
use crate::{
    Watched,
    api::Api,
    command,
    contest::accepts,
    free_address,
    node::{RealityKeys, SERVER_NAME, certificate_for},
    phone::{LINK_HOST, subscribed, subscription, users},
    site::Site,
};

const API_TOKEN: &str = "the-token-of-the-benchmarks";

/// Who serves an inbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ServedBy {
    Hezar,
    SingBox,
    Xray,
}

impl ServedBy {
    /// In the order of the table; ours first.
    pub const ALL: [Self; 3] = [Self::Hezar, Self::SingBox, Self::Xray];

    /// What the table calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hezar => "hezar",
            Self::SingBox => "sing-box",
            Self::Xray => "xray",
        }
    }

    /// Whether it has this inbound.
    #[must_use]
    pub const fn serves(self, kind: InboundKind) -> bool {
        match self {
            Self::Hezar => true,
            Self::SingBox => !matches!(kind, InboundKind::VlessReality | InboundKind::VlessXhttp),
            Self::Xray => kind.is_of_xray(),
        }
    }
}

/// Where the programs are, and what all servers share.
#[derive(Debug)]
pub struct InboundArena {
    /// sing-box, which is also the node that all servers go out through.
    pub sing_box: PathBuf,
    /// Xray.
    pub xray: PathBuf,
    /// mihomo, the client of all servers.
    pub mihomo: PathBuf,
    /// The keys of REALITY.
    pub keys: RealityKeys,
    /// The target, and what strangers at REALITY see.
    pub site: Site,
    /// Where the certificate lies.
    pub folder: PathBuf,
    /// The SOCKS5 server that all of them go out through.
    pub node: SocketAddr,
}

/// A server under load, and its client.
#[derive(Debug)]
pub struct Server {
    /// The server alone.
    pub process: Watched,
    /// Where the inbound is.
    pub address: SocketAddr,
    /// The SOCKS port of the client.
    pub socks: SocketAddr,
    _client: Watched,
    _home: tempfile::TempDir,
}

/// What a user reads from this program's subscription.
struct Subscribed {
    shown: Shown,
    /// The configuration of mihomo, which names `port` of this program's listener.
    clash: String,
    port: u16,
}

impl InboundArena {
    /// Writes the certificate of all servers, which their clients trust, and its key into the folder.
    ///
    /// # Errors
    /// When they cannot be made or written.
    pub fn certify(&self) -> anyhow::Result<()> {
        certificate_for(&self.folder, &[LINK_HOST, SERVER_NAME])
    }

    /// Starts the node that all servers go out through.
    ///
    /// # Errors
    /// When it does not start.
    pub fn serve_node(&self) -> anyhow::Result<Watched> {
        let config = json!({
            "log": { "disabled": true },
            "inbounds": [{ "type": "socks", "listen": self.node.ip(), "listen_port": self.node.port() }],
            "outbounds": [{ "type": "direct" }],
        });
        let file = self.folder.join("node.json");
        fs::write(&file, config.to_string())?;
        let process = Watched::start(Command::new(&self.sing_box).arg("run").arg("-c").arg(&file))?;
        accepts(self.node).context("sing-box as the node")?;
        Ok(process)
    }

    /// Starts a server of a kind with a client before it.
    ///
    /// # Errors
    /// When either does not start.
    pub async fn start(&self, served_by: ServedBy, kind: InboundKind) -> anyhow::Result<Server> {
        let home = tempfile::tempdir()?;
        let (ours, subscribed) = self.start_ours(kind, home.path()).await?;
        let (process, port) = if served_by == ServedBy::Hezar {
            (ours, subscribed.port)
        } else {
            // It was needed for what its subscription says.
            drop(ours);
            let listen = free_address()?;
            (self.start_peer(served_by, kind, &subscribed.shown, listen, home.path())?, listen.port())
        };
        let named = |port: u16| format!("\"port\":{port},");
        ensure!(subscribed.clash.contains(&named(subscribed.port)), "the subscription does not name its port");
        let clash = subscribed.clash.replace(&named(subscribed.port), &named(port));
        let socks = free_address()?;
        let client = self.start_client(&clash, socks, home.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Server { process, address, socks, _client: client, _home: home })
    }

    async fn start_ours(&self, kind: InboundKind, home: &Path) -> anyhow::Result<(Watched, Subscribed)> {
        for name in ["server.pem", "server.key"] {
            fs::copy(self.folder.join(name), home.join(name))?;
        }
        let (listen, api) = (free_address()?, free_address()?);
        let text = format!(
            "[proxy]\nlisten = \"127.0.0.1:0\"\n{}max_connections = 100000\n\
             [api]\nlisten = \"{api}\"\ntoken = \"{API_TOKEN}\"\n[log]\nlevel = \"error\"\n\
             [probe]\nurl = \"http://{}/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\ninterval = \"1h\"\n\
             [[source]]\nname = \"node\"\nlinks = [\"socks5://{}\"]\nallow_private = true\ninterval = \"12h\"\n\
             {}[[listener]]\nname = \"measured\"\nlisten = \"{listen}\"\nhost = \"{LINK_HOST}\"\n{}",
            users(),
            self.site.clear,
            self.node,
            subscription(),
            kind.hezar(&self.keys, &self.site.tls.to_string())
        );
        fs::write(home.join("hezar.toml"), text)?;
        let process = Watched::start(&mut command(home, &["run"])?)?;
        accepts(if kind.is_udp() { api } else { listen }).context("hezar")?;
        let api = Api { address: api, token: API_TOKEN.to_owned() };
        accepts(api.address).context("the API of hezar")?;
        let links = subscribed(&api, "links").await?;
        let node = hezar_formats::parse(links.as_bytes()).nodes.into_iter().next().context("an empty subscription")?;
        let shown = Shown::of(&node.spec.outbound)?;
        Ok((process, Subscribed { shown, clash: subscribed(&api, "clash").await?, port: listen.port() }))
    }

    fn start_peer(
        &self,
        served_by: ServedBy,
        kind: InboundKind,
        shown: &Shown,
        listen: SocketAddr,
        home: &Path,
    ) -> anyhow::Result<Watched> {
        let is_sing_box = served_by == ServedBy::SingBox;
        let (program, config) = if is_sing_box {
            let mut inbound = kind.sing_box(shown, &self.folder).context("sing-box has no such inbound")?;
            inbound["listen"] = json!(listen.ip());
            inbound["listen_port"] = json!(listen.port());
            let node = json!({ "type": "socks", "server": self.node.ip(), "server_port": self.node.port() });
            (&self.sing_box, json!({ "log": { "disabled": true }, "inbounds": [inbound], "outbounds": [node] }))
        } else {
            let mut inbound = kind.xray(shown, &self.folder, &self.keys, &self.site.tls.to_string())?;
            inbound["listen"] = json!(listen.ip());
            inbound["port"] = json!(listen.port());
            let server = json!({ "address": self.node.ip(), "port": self.node.port() });
            let node = json!({ "protocol": "socks", "settings": { "servers": [server] } });
            (&self.xray, json!({ "log": { "loglevel": "none" }, "inbounds": [inbound], "outbounds": [node] }))
        };
        let file = home.join("peer.json");
        fs::write(&file, config.to_string())?;
        let process = Watched::start(Command::new(program).current_dir(home).arg("run").arg("-c").arg(&file))?;
        if !kind.is_udp() {
            accepts(listen).with_context(|| served_by.name())?;
        }
        Ok(process)
    }

    /// mihomo with what the subscription gives it.
    fn start_client(&self, clash: &str, socks: SocketAddr, home: &Path) -> anyhow::Result<Watched> {
        let home = home.join("client");
        fs::create_dir(&home)?;
        fs::write(home.join("sub.yaml"), clash)?;
        let config = json!({
            "mixed-port": socks.port(), "bind-address": socks.ip(), "mode": "rule", "log-level": "silent",
            "ipv6": false, "find-process-mode": "off",
            "proxy-providers": { "sub": { "type": "file", "path": "./sub.yaml" } },
            "proxy-groups": [{ "name": "phone", "type": "select", "use": ["sub"] }],
            "rules": ["MATCH,phone"],
        });
        fs::write(home.join("config.yaml"), config.to_string())?;
        let mut command = Command::new(&self.mihomo);
        command.current_dir(&home).args(["-d", "."]);
        // It would take a client for itself when the client's port is one that it dialled from; and it trusts what this names.
        command.env("DISABLE_LOOPBACK_DETECTOR", "1").env("SSL_CERT_FILE", self.folder.join("server.pem"));
        let process = Watched::start(&mut command)?;
        accepts(socks).context("mihomo")?;
        Ok(process)
    }
}
