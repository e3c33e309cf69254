//! A lab world, and an instance of Hezar over it.

use std::{fs, net::SocketAddr, path::PathBuf};

use hezar_interop::{
    Peer,
    harness::{Answer, Running, ask, eventually, free_addresses, programs},
};
use hezar_lab::{Kind, World, WorldConfig};
use serde_json::Value;
use tempfile::TempDir;

/// The token of the subscription.
const TOKEN: &str = "0123456789abcdef";

/// The node that serves a request through a proxy, as the lab's origin tells it.
pub(crate) fn served_by(proxy: SocketAddr) -> Option<String> {
    let answer = ask(proxy, "GET", "http://demo.hezar/", "", "");
    let json: Value = serde_json::from_str(&answer.body).ok()?;
    json["node"].as_str().map(str::to_owned)
}

/// The lab, and Hezar over it with one subscription.
pub(crate) struct Lab {
    pub(crate) api: SocketAddr,
    pub(crate) proxy: SocketAddr,
    pub(crate) token: String,
    pub(crate) nodes: usize,
    pub(crate) folder: TempDir,
    world: Option<World>,
    runtime: tokio::runtime::Runtime,
    hezar: Option<Running>,
}

impl Lab {
    /// Starts all of it, and waits until every node works. `None`, with a line that says so, when this peer or Hezar itself
    /// is not there and need not be.
    pub(crate) fn start(peer: Peer) -> Option<Self> {
        let (program, [_]) = programs("clients", [peer.name()])?;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = runtime.block_on(World::start(WorldConfig::kinds(Kind::ALL))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [proxy, api] = free_addresses(2)[..] else { panic!() };
        fs::write(folder.path().join("list.txt"), world.links()).unwrap();
        let config = format!(
            "[proxy]\nlisten = \"{proxy}\"\n[api]\nlisten = \"{api}\"\ntoken = \"token-for-the-api\"\n\
             [probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"http://demo.hezar/cdn-cgi/trace\"\n\
             canary_url = \"\"\ncontrol = []\ntimeout = \"30s\"\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n\
             [[subscription]]\nname = \"lab\"\ntoken = \"{TOKEN}\"\nallow_private = true\n"
        );
        let file = folder.path().join("hezar.toml");
        fs::write(&file, config).unwrap();
        let nodes = world.nodes().len();
        let mut hezar = Running::start(&program, &["--config", file.to_str().unwrap(), "run"], folder.path());
        hezar.accepts(api);
        let lab = Self {
            api,
            proxy,
            token: "token-for-the-api".to_owned(),
            nodes,
            folder,
            world: Some(world),
            runtime,
            hezar: Some(hezar),
        };
        eventually("every node works", || (lab.subscription("links", "").body.lines().count() == nodes).then_some(()));
        Some(lab)
    }

    /// The path of the subscription.
    pub(crate) fn path(&self) -> String {
        format!("/sub/{TOKEN}")
    }

    /// The subscription in one form (empty = what the headers ask for).
    pub(crate) fn subscription(&self, target: &str, headers: &str) -> Answer {
        let query = if target.is_empty() { String::new() } else { format!("?target={target}") };
        ask(self.api, "GET", &format!("{}{query}", self.path()), headers, "")
    }

    /// A folder of its own for another program.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.hezar.take());
        if let Some(world) = self.world.take() {
            self.runtime.block_on(world.shutdown());
        }
    }
}
