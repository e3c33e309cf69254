//! A new process takes over: under load, when it is broken or killed in the middle, and as a service manager sees it.

mod failing;
mod load;
mod service_manager;
mod udp;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hezar_lab::{Kind, World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, Instance, PATIENCE, PROBE, eventually, open_tunnel};

/// The password of every user.
const PASSWORD: &str = "p";

/// A world of nodes, and a home with a configuration over them.
struct Stage {
    runtime: tokio::runtime::Runtime,
    world: World,
    home: Home,
}

impl Stage {
    /// `proxy` and `rest` are lines of `[proxy]`, and tables behind it.
    fn new(proxy: &str, rest: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = runtime.block_on(World::start(WorldConfig::kinds([Kind::Socks5; 6]))).unwrap();
        let home = Home::new();
        home.write("list.txt", world.links());
        let stage = Self { runtime, world, home };
        stage.configure(proxy, rest);
        stage
    }

    fn configure(&self, proxy: &str, rest: &str) {
        let source = "[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n";
        self.home.write("hezar.toml", format!("[proxy]\n{proxy}\n{PROBE}{source}{rest}"));
    }

    /// An instance whose nodes carry traffic.
    fn start(&self) -> Instance {
        let instance = self.home.start(&[]);
        eventually("nodes that carry traffic", || {
            let status: Value = serde_json::from_str(self.home.run(&["status", "--json"]).good()).ok()?;
            (status["nodes"]["healthy"] == 6).then_some(())
        });
        instance
    }

    /// The status of the instance that serves.
    fn status(&self) -> Value {
        serde_json::from_str(self.home.run(&["status", "--json"]).good()).unwrap()
    }

    /// The number of the process that has left the note for commands.
    fn serving_pid(&self) -> u64 {
        let note: Value = serde_json::from_str(&self.home.read("hezar-data/instance.json")).unwrap();
        note["pid"].as_u64().unwrap()
    }

    fn end(self) {
        self.runtime.block_on(self.world.shutdown());
    }
}

/// The value of `Proxy-Authorization` for a user name.
fn basic(name: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{PASSWORD}")))
}

/// The node that served a request of this user name over a connection of its own.
fn node(proxy: SocketAddr, name: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(proxy).map_err(|error| format!("connect: {error}"))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("Host: demo.hezar\r\nProxy-Authorization: {}\r\nConnection: close\r\n\r\n", basic(name));
    let asked = stream.write_all(format!("GET http://demo.hezar/ HTTP/1.1\r\n{head}").as_bytes());
    asked.map_err(|error| format!("write: {error}"))?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| format!("read: {error}, after {text:?}"))?;
    let body = text.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {text:?}"))?.1;
    let told: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {text}"))?;
    told["node"].as_str().map(str::to_owned).ok_or_else(|| format!("no node: {text}"))
}

/// A tunnel of a user to a server that sends everything back.
fn tunnel(proxy: SocketAddr, name: &str) -> Result<TcpStream, String> {
    open_tunnel(proxy, "echo.hezar:7", &format!("Proxy-Authorization: {}\r\n", basic(name)))
}

/// Sends a signal to a process that this test has started.
pub(crate) fn signal(pid: u64, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}
