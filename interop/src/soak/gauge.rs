//! Reads what the program holds: memory, sockets, tasks.

use std::{
    fmt, fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// The largest page of metrics.
const MOST: u64 = 1 << 20;

/// Looks at one process.
#[derive(Debug)]
pub(super) struct Gauge {
    id: u32,
    api: SocketAddr,
    token: &'static str,
    begun: Instant,
}

/// One look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    seconds: u64,
    resident_kib: u64,
    sockets: u64,
    tasks: u64,
    tunnels: u64,
}

impl Gauge {
    pub(super) const HEAD: &'static str = "    s  resident KiB  sockets  tasks  tunnels";

    pub(super) fn new(id: u32, api: SocketAddr, token: &'static str) -> Self {
        Self { id, api, token, begun: Instant::now() }
    }

    pub(super) async fn read(&self) -> anyhow::Result<Reading> {
        let page = self.metrics().await?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).context("the program has ended")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(Reading {
            seconds: self.begun.elapsed().as_secs(),
            resident_kib: resident.trim().trim_end_matches(" kB").parse()?,
            sockets: self.sockets()?,
            tasks: value(&page, "hezar_tasks").context("no hezar_tasks")?,
            tunnels: value(&page, "hezar_tunnels").unwrap_or_default(),
        })
    }

    /// Waits until no more sockets and tasks are open than before, or for as long as `limit`; the last look.
    pub(super) async fn rest(&self, before: &Reading, slack: u64, limit: Duration) -> anyhow::Result<Reading> {
        let begun = Instant::now();
        loop {
            let now = self.read().await?;
            if now.within(before, slack) || begun.elapsed() > limit {
                return Ok(now);
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn sockets(&self) -> anyhow::Result<u64> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.id)).context("the program has ended")?;
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        Ok(links.filter(|link| link.to_string_lossy().starts_with("socket:")).count() as u64)
    }

    async fn metrics(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.api).await.context("the program has ended")?;
        let (api, token) = (self.api, self.token);
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: {api}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut page = String::new();
        stream.take(MOST).read_to_string(&mut page).await?;
        ensure!(page.starts_with("HTTP/1.1 200"), "no metrics: {page}");
        Ok(page)
    }
}

impl Reading {
    /// Whether no more is open than there was.
    pub(super) fn within(&self, before: &Self, slack: u64) -> bool {
        self.sockets <= before.sockets + slack && self.tasks <= before.tasks + slack
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, resident_kib, sockets, tasks, tunnels } = self;
        write!(f, "{seconds:5} {resident_kib:13} {sockets:8} {tasks:6} {tunnels:8}")
    }
}

fn value(page: &str, name: &str) -> Option<u64> {
    let series = page.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    let values = series.filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'));
    values.map(|(_, value)| value.parse::<u64>().ok()).reduce(|sum, value| Some(sum? + value?)).flatten()
}
