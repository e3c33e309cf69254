//! A peer's process: started with its configuration, ready when it accepts, killed by its id when dropped.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    net::{SocketAddr, TcpListener, UdpSocket},
    ops::Range,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use rand::RngExt;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// A peer that does not accept by then is a failure.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How often a peer is started again before that is a failure.
const STARTS: usize = 30;

/// Between two attempts at a [`ReadyTunnel`].
const KNOCK: Duration = Duration::from_millis(200);

/// A running peer.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    start: Start,
}

/// How it was started.
#[derive(Debug)]
struct Start {
    program: PathBuf,
    arguments: Vec<OsString>,
    folder: PathBuf,
    /// TCP, or (`true`) UDP.
    addresses: Vec<(SocketAddr, bool)>,
}

impl Process {
    /// Starts a program and waits until every address accepts, by TCP or (`true`) by UDP.
    pub(crate) async fn start(
        program: &Path,
        arguments: &[OsString],
        folder: &Path,
        addresses: &[(SocketAddr, bool)],
    ) -> anyhow::Result<Self> {
        let name = addresses.first().map_or(0, |(address, _)| address.port());
        let log = folder.join(format!("{name}.log"));
        let start = Start {
            program: program.to_owned(),
            arguments: arguments.to_owned(),
            folder: folder.to_owned(),
            addresses: addresses.to_owned(),
        };
        let mut process = Self { child: start.spawn(File::create(&log)?)?, log, start };
        process.ready().await?;
        Ok(process)
    }

    /// Its number.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it and starts it again after a pause, on the same addresses.
    pub(crate) async fn restart(&mut self, pause: Duration) -> anyhow::Result<()> {
        self.end();
        self.child.wait().await?;
        sleep(pause).await;
        for _ in 1..STARTS {
            if self.again().await.is_ok() {
                return Ok(());
            }
            self.end();
            // Meanwhile a connection of somebody may have been given one of its ports.
            sleep(Duration::from_secs(1)).await;
        }
        self.again().await
    }

    async fn again(&mut self) -> anyhow::Result<()> {
        self.child = self.start.spawn(File::options().append(true).open(&self.log)?)?;
        self.ready().await
    }

    /// Kills it and what it started: shadowsocks-libev's plugins are processes of their own.
    fn end(&self) {
        let group = self.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Whether it has written this.
    pub(crate) fn wrote(&self, text: &str) -> bool {
        fs::read(&self.log).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        for (address, udp) in self.start.addresses.clone() {
            self.accepts(address, udp).await?;
        }
        Ok(())
    }

    /// The end of what it wrote.
    pub(crate) fn log(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }

    async fn accepts(&mut self, address: SocketAddr, udp: bool) -> anyhow::Result<()> {
        let limit = Instant::now() + READY_LIMIT;
        loop {
            // A UDP port answers nobody; but once the peer has it, nobody else can have it.
            if if udp { UdpSocket::bind(address).is_err() } else { TcpStream::connect(address).await.is_ok() } {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}:\n{}", self.log());
            }
            if Instant::now() > limit {
                bail!("it does not accept on {address}:\n{}", self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

impl Start {
    fn spawn(&self, output: File) -> anyhow::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(&self.folder)
            // mihomo would take a client for itself when the client's port is one that it dialled from.
            .env("DISABLE_LOOPBACK_DETECTOR", "1")
            // Ours takes every HEZAR_* variable for a key of its configuration; this one is the peers' folder.
            .env_remove("HEZAR_PEERS")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))
    }
}

/// Two ends of a connection that a peer carries as soon as it carries anything.
#[derive(Debug)]
pub(crate) struct ReadyTunnel {
    /// Where the peer is to listen.
    pub(crate) entry: SocketAddr,
    /// Where it is to connect to for each connection.
    pub(crate) exit: SocketAddr,
    listener: tokio::net::TcpListener,
}

impl ReadyTunnel {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let entry = *free_ports(1)?.first().context("no free port")?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self { entry, exit: listener.local_addr()?, listener })
    }

    /// Waits until a connection to the entry arrives at the exit.
    pub(crate) async fn carried(&self) -> anyhow::Result<()> {
        let limit = Instant::now() + READY_LIMIT;
        while Instant::now() < limit {
            let knock = TcpStream::connect(self.entry).await;
            if knock.is_ok() && timeout(KNOCK, self.listener.accept()).await.is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("it carries nothing from {}", self.entry)
    }
}

/// Below what systems lend to outgoing connections (Linux: 32768 and up): no client takes one before its peer binds it.
const PORTS: Range<u16> = 10_000..32_768;

/// Ports of the loopback address that are free for TCP and UDP, none of them given before: the peers of a run start at the
/// same time.
pub(crate) fn free_ports(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    let mut ports = Vec::new();
    for _ in 0..PORTS.len() {
        if ports.len() == count {
            return Ok(ports);
        }
        let address = SocketAddr::from(([127, 0, 0, 1], rand::rng().random_range(PORTS)));
        let is_free = || TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
        if GIVEN.lock().insert(address) && is_free() {
            ports.push(address);
        }
    }
    bail!("{count} free ports are not to be had")
}
