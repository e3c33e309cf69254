//! The clients that are compared: each as a process with one node and a SOCKS port.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    Watched, command, command_of, free_address,
    node::{NodeKind, RealityKeys},
    site::Site,
};

/// A program that does not accept by then is a failure.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Who carries the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Client {
    Hezar,
    /// Another build of Hezar, such as the one before a change.
    OtherBuild,
    SingBox,
    Mihomo,
    Xray,
}

impl Client {
    /// In the order of the table; ours first.
    pub const ALL: [Self; 5] = [Self::Hezar, Self::OtherBuild, Self::SingBox, Self::Mihomo, Self::Xray];

    /// What the table calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hezar => "hezar",
            Self::OtherBuild => "other build",
            Self::SingBox => "sing-box",
            Self::Mihomo => "mihomo",
            Self::Xray => "xray",
        }
    }
}

/// Where the peers are, and the servers that all clients use.
#[derive(Debug)]
pub struct Arena {
    /// Another build of Hezar that is compared with this one.
    pub other_build: Option<PathBuf>,
    /// sing-box.
    pub sing_box: PathBuf,
    /// Whether that sing-box was built with uTLS, which its REALITY needs.
    pub sing_box_reality: bool,
    /// Xray, the REALITY server and a client of it.
    pub xray: PathBuf,
    /// mihomo.
    pub mihomo: PathBuf,
    /// The keys of the REALITY server.
    pub keys: RealityKeys,
    /// The address of each row's server.
    pub servers: Vec<(NodeKind, SocketAddr)>,
    /// The target.
    pub site: Site,
    /// Where configurations are written.
    pub folder: PathBuf,
}

/// A running client.
#[derive(Debug)]
pub struct RunningClient {
    /// The process.
    pub process: Watched,
    /// Its SOCKS port.
    pub socks: SocketAddr,
    _home: tempfile::TempDir,
}

impl Arena {
    /// Starts the servers of all rows: Xray for REALITY, sing-box for the others.
    ///
    /// # Errors
    /// When one does not start.
    pub fn serve(&self) -> anyhow::Result<[Watched; 2]> {
        let site = self.server(NodeKind::TrojanTls)?;
        let inbounds: Vec<_> =
            self.servers.iter().filter_map(|(node, address)| node.inbound(*address, &self.folder)).collect();
        let config = json!({
            "log": { "disabled": true }, "inbounds": inbounds, "outbounds": [{ "type": "direct" }],
        });
        let most = self.serve_with(&self.sing_box, "servers.json", &config, site)?;
        let address = self.server(NodeKind::VlessRealityVision)?;
        let config = NodeKind::reality_server(address, &self.keys, site);
        Ok([most, self.serve_with(&self.xray, "reality.json", &config, address)?])
    }

    fn serve_with(&self, program: &Path, file: &str, config: &Value, door: SocketAddr) -> anyhow::Result<Watched> {
        let file = self.folder.join(file);
        fs::write(&file, config.to_string())?;
        let process = Watched::start(Command::new(program).arg("run").arg("-c").arg(&file))?;
        accepts(door).with_context(|| format!("{} as the server", program.display()))?;
        Ok(process)
    }

    fn server(&self, node: NodeKind) -> anyhow::Result<SocketAddr> {
        Ok(self.servers.iter().find(|(other, _)| *other == node).context("no such server")?.1)
    }

    /// Whether this client dials this node: Xray only what is its own.
    #[must_use]
    pub fn plays(&self, client: Client, node: NodeKind) -> bool {
        match client {
            Client::Hezar | Client::Mihomo => true,
            Client::OtherBuild => self.other_build.is_some(),
            Client::SingBox => self.sing_box_reality || node != NodeKind::VlessRealityVision,
            Client::Xray => node == NodeKind::VlessRealityVision,
        }
    }

    /// Starts a client with one node.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, client: Client, node: NodeKind) -> anyhow::Result<RunningClient> {
        let server = self.server(node)?;
        let home = tempfile::tempdir()?;
        let socks = free_address()?;
        let mut command = match client {
            Client::Hezar | Client::OtherBuild => {
                let program = if client == Client::Hezar { None } else { self.other_build.as_deref() };
                self.hezar(program, home.path(), socks, &node.link(server, &self.keys))?
            }
            Client::SingBox => {
                let config = json!({
                    "log": { "disabled": true },
                    "inbounds": [{ "type": "mixed", "listen": socks.ip(), "listen_port": socks.port() }],
                    "outbounds": [node.outbound(server, &self.keys)],
                });
                let file = home.path().join("client.json");
                fs::write(&file, config.to_string())?;
                let mut command = Command::new(&self.sing_box);
                command.current_dir(home.path()).arg("run").arg("-c").arg(file);
                command
            }
            Client::Mihomo => {
                let config = json!({
                    "mixed-port": socks.port(), "bind-address": socks.ip(), "mode": "rule", "log-level": "silent",
                    "ipv6": false, "find-process-mode": "off", "proxies": [node.proxy(server, &self.keys)],
                    "rules": ["MATCH,node"],
                });
                let file = home.path().join("client.json");
                fs::write(&file, config.to_string())?;
                let mut command = Command::new(&self.mihomo);
                command.current_dir(home.path()).arg("-d").arg(home.path()).arg("-f").arg(file);
                // It would take a client for itself when the client's port is one that it dialled from.
                command.env("DISABLE_LOOPBACK_DETECTOR", "1");
                command
            }
            Client::Xray => {
                let file = home.path().join("client.json");
                fs::write(&file, NodeKind::reality_client(socks, server, &self.keys).to_string())?;
                let mut command = Command::new(&self.xray);
                command.current_dir(home.path()).arg("run").arg("-c").arg(file);
                command
            }
        };
        let process = Watched::start(&mut command)?;
        accepts(socks)?;
        Ok(RunningClient { process, socks, _home: home })
    }

    /// `program` is another build than the one of this folder.
    fn hezar(&self, program: Option<&Path>, home: &Path, socks: SocketAddr, link: &str) -> anyhow::Result<Command> {
        let text = format!(
            "[proxy]\nlisten = \"{socks}\"\n[api]\nenabled = false\n[log]\nlevel = \"error\"\n\
             [probe]\nurl = \"http://{}/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\ninterval = \"1h\"\n\
             [[source]]\nname = \"node\"\nlinks = [\"{link}\"]\nallow_private = true\ninterval = \"12h\"\n",
            self.site.clear
        );
        fs::write(home.join("hezar.toml"), text)?;
        match program {
            None => command(home, &["run"]),
            Some(program) => Ok(command_of(program, home, &["run"])),
        }
    }
}

/// Waits until something accepts on an address.
pub(crate) fn accepts(address: SocketAddr) -> anyhow::Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        ensure!(begun.elapsed() < READY_LIMIT, "nothing accepts on {address}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
