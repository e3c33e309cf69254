//! What a service manager sees: readiness, signs of life, reloads, the new main process, the end; and the sockets that it gives.

use std::{
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
    time::Instant,
};

use super::{Stage, node};
use crate::harness::{Home, Instance, PATIENCE, eventually};

/// A service manager's socket.
struct Manager {
    socket: UnixDatagram,
    /// Everything that was said, in lines.
    said: Vec<String>,
}

impl Manager {
    fn new(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path().join("notify.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, said: Vec::new() }
    }

    /// Waits until a line is said, and forgets everything up to it.
    fn hears(&mut self, line: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.said.iter().position(|said| said.starts_with(line)) {
                self.said.drain(..=place);
                return;
            }
            assert!(Instant::now() < end, "{line} was not said: {:?}", self.said);
            let mut bytes = [0; 4096];
            let length = self.socket.recv(&mut bytes).unwrap();
            self.said.extend(String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned));
        }
    }

    /// Takes in what has been said so far.
    fn silence(&mut self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut bytes = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            self.said.extend(String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned));
        }
        self.socket.set_nonblocking(false).unwrap();
        std::mem::take(&mut self.said)
    }
}

/// The program as a service manager starts it.
fn managed(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.hezar(&["run", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    command.args(arguments).env("HEZAR_LOG_FORMAT", "json").stderr(Stdio::piped());
    command.env("NOTIFY_SOCKET", home.path().join("notify.sock")).env("WATCHDOG_USEC", "1000000");
    command
}

#[test]
fn a_service_manager_hears_of_everything() {
    let stage = Stage::new("", "");
    let mut manager = Manager::new(&stage.home);
    let instance = Instance::start(managed(&stage.home, &[]));
    manager.hears("READY=1");
    manager.hears("STATUS=serving: ");
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    stage.home.run(&["reload"]).good();
    manager.hears("RELOADING=1");
    manager.hears("MONOTONIC_USEC=");
    manager.hears("READY=1");
    let mut held = eventually("a tunnel", || super::tunnel(instance.proxy, "x").ok());
    let successor = Instance::start(managed(&stage.home, &["--takeover"]));
    manager.hears(&format!("MAINPID={}", successor.pid()));
    manager.hears("READY=1");
    crate::harness::echoes(&mut held);
    drop(held);
    instance.ended();
    // The service does not stop when the process before ends.
    assert!(!manager.silence().iter().any(|line| line == "STOPPING=1"));
    successor.terminate();
    manager.hears("STOPPING=1");
    stage.end();
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let stage = Stage::new("", "");
    let mut manager = Manager::new(&stage.home);
    let mut command = managed(&stage.home, &[]);
    command.env("WATCHDOG_PID", "1");
    let instance = Instance::start(command);
    manager.hears("STATUS=serving: ");
    instance.terminate();
    assert!(!manager.silence().iter().any(|line| line == "WATCHDOG=1"));
    stage.end();
}

#[test]
fn sockets_of_a_service_manager_are_used_instead_of_own_ones() {
    let stage = Stage::new("", "[[listener]]\nname = \"side\"\nlisten = \"127.0.0.1:0\"\n");
    let bound: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<SocketAddr> = bound.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let mut given = bound.into_iter().map(|socket| Stdio::from(OwnedFd::from(socket)));
    // The shell becomes the program: its number is the one that the sockets are meant for.
    let text = "exec 3<&0 4<&1 5<&2 0</dev/null 1>/dev/null 2>program.log; \
                LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=proxy:api:side exec \"$0\" run";
    let mut command = Command::new("sh");
    command.current_dir(stage.home.path()).env_clear().env("HOME", stage.home.path());
    command.args(["-c", text, env!("CARGO_BIN_EXE_hezar")]);
    command.stdin(given.next().unwrap()).stdout(given.next().unwrap()).stderr(given.next().unwrap());
    let mut child = command.spawn().unwrap();
    drop(command);
    eventually("the API at its socket", || (stage.home.run(&["status", "--json"]).code == Some(0)).then_some(()));
    let status = stage.status();
    assert_eq!(status["proxy"], addresses[0].to_string(), "{status}");
    assert_eq!(status["listeners"][1]["address"], addresses[2].to_string(), "{status}");
    let note: serde_json::Value = serde_json::from_str(&stage.home.read("hezar-data/instance.json")).unwrap();
    assert_eq!(note["api"], addresses[1].to_string());
    for proxy in [addresses[0], addresses[2]] {
        eventually("requests are served", || node(proxy, "x").ok());
    }
    // They pass on to a successor as any others, wherever the configuration would have bound its own.
    stage.home.run(&["upgrade"]).good();
    assert_eq!(stage.status()["proxy"], addresses[0].to_string());
    assert!(child.wait().unwrap().success());
    node(addresses[0], "x").unwrap();
    let last = stage.serving_pid();
    super::signal(last, "TERM");
    eventually("the last one ends", || (!super::lives(last)).then_some(()));
    stage.end();
}
