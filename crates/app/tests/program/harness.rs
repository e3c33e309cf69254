//! A folder of its own for each test, and the program run inside it.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up; generous, because machines are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Probes over the demonstration's hosts, which only nodes of a lab reach, with no control check.
pub(crate) const PROBE: &str = r#"
[probe]
url = "http://demo.hezar/generate_204"
trace_url = "http://demo.hezar/cdn-cgi/trace"
canary_url = ""
control = []
timeout = "30s"
"#;

/// An empty home.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The program with nothing of this machine's environment.
    pub(crate) fn hezar(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hezar"));
        command.current_dir(self.path()).env_clear().env("HOME", self.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::from(self.hezar(arguments).output().unwrap())
    }

    /// Starts an instance on ports of its own.
    pub(crate) fn start(&self, arguments: &[&str]) -> Instance {
        let mut command = self.hezar(&["run", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
        command.args(arguments).env("HEZAR_LOG_FORMAT", "json").stderr(Stdio::piped());
        Instance::start(command)
    }
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// Fails unless the command failed with this code and its message has all these parts.
    pub(crate) fn refused(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "missing {part:?} in {self:?}");
        }
    }

    pub(crate) fn good(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }
}

/// A running instance; it is killed when the test ends.
pub(crate) struct Instance {
    child: Child,
    pub(crate) proxy: SocketAddr,
    pub(crate) api: SocketAddr,
    listeners: Arc<Mutex<HashMap<String, SocketAddr>>>,
    log: std::thread::JoinHandle<Vec<String>>,
}

impl Instance {
    /// Waits for the two addresses in the log.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (found, addresses) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let listeners = Arc::new(Mutex::new(HashMap::new()));
        let named = Arc::clone(&listeners);
        let log = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in stderr.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<serde_json::Value>(&line) {
                    let address = event["address"].as_str().and_then(|text| text.parse::<SocketAddr>().ok());
                    if let (Some(message), Some(address)) = (event["message"].as_str(), address) {
                        let _ = found.send((message.to_owned(), address));
                    }
                    if let (Some(name), Some(address)) = (event["listener"].as_str(), event["listen"].as_str()) {
                        named.lock().unwrap().insert(name.to_owned(), address.parse().unwrap());
                    }
                }
                lines.push(line);
            }
            lines
        });
        let (mut proxy, mut api) = (None, None);
        while proxy.is_none() || api.is_none() {
            match addresses.recv_timeout(PATIENCE) {
                Ok((message, address)) if message == "proxy listens" => proxy = Some(address),
                Ok((message, address)) if message == "api listens" => api = Some(address),
                Ok(_) => {}
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    panic!("the instance did not start ({error}): {:#?}", log.join().unwrap());
                }
            }
        }
        Self { child, proxy: proxy.unwrap(), api: api.unwrap(), listeners, log }
    }

    /// Where a listener other than the first one listens.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        eventually("a listener", || self.listeners.lock().unwrap().get(name).copied())
    }

    /// One request through the proxy: the status and the body.
    pub(crate) fn get(&self, url: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.proxy).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let host = url.split('/').nth(2)?;
        write!(stream, "GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The body of a GET of the API, or of its metrics; each of the headers ends its line.
    pub(crate) fn ask_api(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.api).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A client of HTTP/1.0 gets no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n{headers}\r\n", self.api).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a warning, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself, and gives its log.
    pub(crate) fn ended(mut self) -> Vec<String> {
        let status = self.child.wait().unwrap();
        let log = std::mem::replace(&mut self.log, std::thread::spawn(Vec::new)).join().unwrap();
        assert!(status.success(), "{status}: {log:#?}");
        log
    }

    /// Ends it as a service manager would, and gives its log.
    pub(crate) fn terminate(mut self) -> Vec<String> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let log = std::mem::replace(&mut self.log, std::thread::spawn(Vec::new)).join().unwrap();
        assert!(status.success(), "{status}: {log:#?}");
        log
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until the answer is there.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A tunnel to a server that sends everything back, when a node carries it.
pub(crate) fn tunnel(proxy: SocketAddr) -> Option<TcpStream> {
    open_tunnel(proxy, "echo.hezar:7", "").ok()
}

/// A tunnel that is asked for with these further headers, each with the end of its line; the head of the answer when it is refused.
pub(crate) fn open_tunnel(proxy: SocketAddr, target: &str, headers: &str) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(proxy).map_err(|error| format!("connect: {error}"))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let host = target.split(':').next().unwrap_or(target);
    let asked = format!("CONNECT {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
    stream.write_all(asked.as_bytes()).map_err(|error| error.to_string())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(|error| error.to_string())?;
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if head.starts_with("HTTP/1.1 200") { Ok(stream) } else { Err(head) }
}

/// Fails unless the tunnel carries bytes both ways.
pub(crate) fn echoes(tunnel: &mut TcpStream) {
    tunnel.write_all(b"still here").unwrap();
    let mut word = [0; 10];
    tunnel.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"still here");
}
