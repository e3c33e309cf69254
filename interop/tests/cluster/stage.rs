//! A database, a world of nodes, and members with roles of their own; everything on loopback addresses, and gone with the test.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use hezar_interop::harness::{Answer, Running, ask, eventually, free_addresses, programs};
use hezar_lab::{Kind, World, WorldConfig, postgres::PostgresServer};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The token of every member's API.
pub(crate) const TOKEN: &str = "the-token-of-the-cluster";
/// The source that the fetcher reads.
pub(crate) const SOURCE: &str = "list";

/// What the members of a test share.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    pub(crate) world: World,
    pub(crate) server: PostgresServer,
    /// The address of the store.
    pub(crate) store: String,
    /// More of the configuration of every member.
    pub(crate) extra: String,
    hezar: PathBuf,
    folder: tempfile::TempDir,
}

impl Stage {
    /// A new database and so many nodes; `None`, with a line that says so, where the programs are not there.
    pub(crate) fn open<const N: usize>(test: &str, nodes: usize, parts: [&str; N]) -> Option<(Self, [PathBuf; N])> {
        let (hezar, parts) = programs(test, parts)?;
        let server = PostgresServer::start_if_installed(test).unwrap()?;
        let store = server.create_database("hezar").unwrap();
        let runtime = Runtime::new().unwrap();
        let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, nodes));
        config.max_connections = 4096;
        let world = runtime.block_on(World::start(config)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { runtime, world, server, store, extra: String::new(), hezar, folder };
        stage.list(&stage.world.links());
        Some((stage, parts))
    }

    /// Makes these links the list that the fetcher reads.
    pub(crate) fn list(&self, links: &str) {
        // A reader sees the old list or the new one.
        fs::write(self.folder.path().join("list.new"), links).unwrap();
        fs::rename(self.folder.path().join("list.new"), self.folder.path().join("list.txt")).unwrap();
    }

    /// Starts a member on addresses of its own.
    pub(crate) fn member(&self, name: &str, roles: &str) -> Member {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        let [proxy, api] = free_addresses(2)[..] else { unreachable!("two were asked for") };
        let list = self.folder.path().join("list.txt");
        let roles: Vec<String> = roles.split(',').map(|role| format!("{role:?}")).collect();
        let mut config = format!(
            "[store]\nurl = {:?}\n[cluster]\nname = {name:?}\nroles = [{}]\n[api]\nlisten = \"{api}\"\ntoken = \"{TOKEN}\"\n\
             [log]\nlevel = \"info\"\n{}\n",
            self.store,
            roles.join(", "),
            self.extra,
        );
        if !config.contains("[probe]") {
            config.push_str(PROBE);
        }
        if !config.contains("[proxy]") {
            config.push_str("[proxy]\n");
        }
        config = config.replace("[proxy]\n", &format!("[proxy]\nlisten = \"{proxy}\"\n"));
        writeln!(
            config,
            "[[source]]\nname = \"{SOURCE}\"\nfile = \"{}\"\nallow_private = true\ninterval = \"1s\"",
            list.display()
        )
        .unwrap();
        fs::write(folder.join("hezar.toml"), config).unwrap();
        Member::start(name, &self.hezar, &folder, proxy, api)
    }

    /// Starts so many gateways, which answer the API, too.
    pub(crate) fn gateways(&self, count: usize) -> Vec<Member> {
        (1..=count).map(|number| self.member(&format!("gateway-{number}"), "gateway,api")).collect()
    }

    /// Waits until each of these members knows so many nodes that work.
    pub(crate) fn know_healthy(&self, members: &[&Member], count: u64) {
        for member in members {
            eventually(&format!("{count} nodes that work, at {}", member.name), || {
                (member.healthy()? == count).then_some(())
            });
        }
    }

    /// Does something in the world.
    pub(crate) fn in_world<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// Probes over the demonstration's hosts, often.
const PROBE: &str = "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\n\
     interval = \"2s\"\ntimeout = \"5s\"\n";

/// One process of the cluster.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) proxy: SocketAddr,
    pub(crate) api: SocketAddr,
    hezar: PathBuf,
    folder: PathBuf,
    running: Option<Running>,
}

impl Member {
    fn start(name: &str, hezar: &Path, folder: &Path, proxy: SocketAddr, api: SocketAddr) -> Self {
        let (hezar, folder) = (hezar.to_path_buf(), folder.to_path_buf());
        let mut member = Self { name: name.to_owned(), proxy, api, hezar, folder, running: None };
        member.start_again();
        member
    }

    /// Starts it in its old folder, and waits until its API answers.
    pub(crate) fn start_again(&mut self) {
        let mut running = Running::start(&self.hezar, &["run"], &self.folder);
        running.accepts(self.api);
        self.running = Some(running);
    }

    /// Kills it without a warning.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// What it has printed until now.
    pub(crate) fn log(&self) -> String {
        self.running.as_ref().map(Running::log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().pid()
    }

    /// Sends it a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// One request to its API.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        ask(self.api, method, path, &format!("Authorization: Bearer {TOKEN}\r\n"), body)
    }

    /// The JSON of a good answer.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "");
        assert_eq!(answer.status, 200, "{} {path}: {}\n{}", self.name, answer.body, self.log());
        serde_json::from_str(&answer.body).unwrap()
    }

    /// How many nodes work, as it knows it; `None` while it does not say.
    pub(crate) fn healthy(&self) -> Option<u64> {
        self.get("/api/v1/status")["nodes"]["healthy"].as_u64()
    }

    /// The state of a node; `None` when it does not know it.
    pub(crate) fn state(&self, id: &str) -> Option<String> {
        let answer = self.ask("GET", &format!("/api/v1/nodes/{id}"), "");
        let node: Value = serde_json::from_str(&answer.body).ok().filter(|_| answer.status == 200)?;
        node["state"].as_str().map(str::to_owned)
    }

    /// The sum of a metric over all its series.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.ask("GET", "/metrics", "").body;
        let series = text.lines().filter_map(|line| line.strip_prefix(name));
        let own = series.filter(|rest| rest.starts_with(['{', ' ']));
        own.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Whether it says that it serves.
    pub(crate) fn is_ready(&self) -> bool {
        self.ask("GET", "/readyz", "").status == 200
    }
}

/// The identity of a node, from its link.
pub(crate) fn id(link: &str) -> String {
    hezar_formats::parse_link(link).unwrap().0.id().to_string()
}

/// So many dead nodes, whose addresses nothing listens at.
pub(crate) fn dead_links(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
        writeln!(text, "socks5://127.{}.{b}.{c}:9#dead{number}", 100 + a).unwrap();
        text
    })
}
