//! What the tests in `tests/` share: programs that are killed at the end, requests over plain HTTP, and where the programs are.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests fail by panicking")]

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{peer, process};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is killed, with the processes that it has started, when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program in a folder, with an empty environment; its output goes to `log.txt` there.
    #[must_use]
    pub fn start(program: &Path, arguments: &[&str], folder: &Path) -> Self {
        Self::start_with(program, arguments, folder, &[])
    }

    /// The same with these variables in its environment.
    #[must_use]
    pub fn start_with(program: &Path, arguments: &[&str], folder: &Path, variables: &[(&str, &str)]) -> Self {
        let log = folder.join("log.txt");
        let file = File::create(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// What it has printed until now.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until an address accepts.
    pub fn accepts(&mut self, address: SocketAddr) {
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
        // The workers of nginx outlive its first process, and hold its ports.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// An answer over HTTP; the head is in lower case.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// One request to an API, or through a proxy when `path` is a whole address; the answer may come in chunks.
#[must_use]
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
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

/// Asks until the answer is there.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask)
}

/// The same for what others may take their time for.
pub fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a process runs; one that has ended and that nobody has waited for has no command line.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// A process with such a command line, of which each word ends with a NUL.
pub fn process_with(is_it: impl Fn(&str) -> bool) -> Option<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| is_it(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())))
}

/// Addresses that are free now.
#[must_use]
pub fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

/// Addresses whose ports are free for TCP and UDP, and which the system lends to nobody meanwhile.
#[must_use]
pub fn listening_addresses(count: usize) -> Vec<SocketAddr> {
    process::free_ports(count).unwrap()
}

/// The program of this workspace, which the tests before have built; `None` when it is not there.
pub(crate) fn hezar() -> Option<PathBuf> {
    let beside = || Some(env::current_exe().ok()?.parent()?.parent()?.join("hezar"));
    env::var_os("HEZAR_BIN").map(PathBuf::from).or_else(beside).filter(|program| program.is_file())
}

/// Where the program `hezar` and the parts that peers.toml names are; `None`, with a line that says so, when one is not there and
/// none is required (`HEZAR_REQUIRE_PEERS`).
#[must_use]
pub fn programs<const N: usize>(test: &str, parts: [&str; N]) -> Option<(PathBuf, [PathBuf; N])> {
    let found = parts.map(|name| (name, peer::installed(name)));
    let missing = found.iter().find(|(_, program)| program.is_none()).map(|(name, _)| *name);
    let hezar = hezar();
    let missing = missing.or_else(|| hezar.is_none().then_some("the program hezar"));
    let Some(missing) = missing else {
        return Some((hezar?, found.map(|(_, program)| program.unwrap())));
    };
    assert!(env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "{missing} is required and not there");
    println!("{test}: SKIPPED, {missing} is not there");
    None
}
