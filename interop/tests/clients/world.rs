//! A lab world, an instance of Hezar over it, and the other programs: each is killed when it is dropped.

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use hezar_interop::Peer;
use hezar_lab::{Kind, World, WorldConfig};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The token of the subscription.
const TOKEN: &str = "0123456789abcdef";

/// A program that is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn start(program: &Path, arguments: &[&str], folder: &Path) -> Self {
        let log = folder.join("log.txt");
        let file = File::create(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until an address accepts.
    pub(crate) fn accepts(&mut self, address: SocketAddr) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{address} never accepts ({ended:?}): {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer over HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request; the answer may come in chunks.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    // Through a proxy the header names the target as the address does (RFC 9112, section 3.2.2).
    let target = path.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let host = target.map_or_else(|| address.to_string(), str::to_owned);
    // A client of HTTP/1.0 gets no chunks.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    // Who refuses a request before its end has come may reset the connection behind the answer.
    let read = stream.read_to_end(&mut answer);
    assert!(read.is_ok() || !answer.is_empty(), "{method} {path}: {read:?}");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// The node that serves a request through a proxy, as the lab's origin tells it.
pub(crate) fn served_by(proxy: SocketAddr) -> Option<String> {
    let answer = ask(proxy, "GET", "http://demo.hezar/", "", "");
    let json: Value = serde_json::from_str(&answer.body).ok()?;
    json["node"].as_str().map(str::to_owned)
}

/// Asks until the answer is there.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Addresses that are free now.
pub(crate) fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

/// The program of this workspace, which the tests before have built; `None` when it is not there.
fn hezar() -> Option<PathBuf> {
    let beside = || Some(env::current_exe().ok()?.parent()?.parent()?.join("hezar"));
    env::var_os("HEZAR_BIN").map(PathBuf::from).or_else(beside).filter(|program| program.is_file())
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
        let (Some(program), Some(_)) = (hezar(), peer.program()) else {
            let missing = if peer.program().is_none() { peer.name() } else { "the program hezar" };
            assert!(env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "{missing} is required and not there");
            println!("clients: SKIPPED, {missing} is not there");
            return None;
        };
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
