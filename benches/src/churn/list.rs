//! A subscription over HTTP whose nodes are exchanged all the time; what has left it is removed from the instance as well.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::api::Api;

/// The nodes: many behind each server, told apart by their user names. Number n is listed before number n + 1 and
/// leaves before it, and none comes back.
#[derive(Debug)]
pub struct List {
    servers: Vec<SocketAddr>,
    size: u64,
    per_second: u64,
    moving: OnceLock<(Instant, Duration)>,
    reads: AtomicU64,
    removed: AtomicU64,
}

impl List {
    /// So many nodes at a time, so many of them exchanged a second.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>, size: u64, per_second: u64) -> Self {
        let (reads, removed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { servers, size, per_second, moving: OnceLock::new(), reads, removed }
    }

    /// From now on nodes come and go, for so long.
    pub fn begin(&self, time: Duration) {
        self.moving.get_or_init(|| (Instant::now(), time));
    }

    /// The numbers of the nodes that are listed now.
    #[must_use]
    pub fn listed(&self) -> Range<u64> {
        let moved = self.moving.get().map_or(Duration::ZERO, |(begun, time)| begun.elapsed().min(*time));
        let first = (moved.as_secs_f64() * self.per_second as f64) as u64;
        first..first + self.size
    }

    /// How often it was read.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    /// How many nodes the instance has removed.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed.load(Relaxed)
    }

    /// The link of a node.
    #[must_use]
    pub fn link(&self, number: u64) -> String {
        let server = self.servers[(number % self.servers.len() as u64) as usize];
        format!("socks5://n{number}:x@{server}#node-{number}\n")
    }

    /// Serves it until the runtime ends; gives its URL.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn serve(self: &Arc<Self>, api: Api) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/nodes.txt", listener.local_addr()?);
        let list = Arc::clone(self);
        tokio::spawn(async move {
            let mut first = 0;
            while let Ok((stream, _)) = listener.accept().await {
                if let Err(error) = list.read(stream, &api, &mut first).await {
                    eprintln!("the subscription: {error:#}");
                }
            }
        });
        Ok(url)
    }

    /// One reading: the list as it is now, and then everything from `first` on that is no longer in it has to go.
    async fn read(&self, mut stream: TcpStream, api: &Api, first: &mut u64) -> anyhow::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 16 * 1024, "an endless head");
            head.push(stream.read_u8().await?);
        }
        let listed = self.listed();
        let text: String = listed.clone().map(|number| self.link(number)).collect();
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all(&[head.as_bytes(), text.as_bytes()].concat()).await?;
        stream.shutdown().await?;
        self.reads.fetch_add(1, Relaxed);
        let left = std::mem::replace(first, listed.start)..listed.start;
        if left.is_empty() {
            return Ok(());
        }
        let ids = left.map(|number| self.id(number)).collect::<anyhow::Result<Vec<_>>>()?;
        let report = api.ask("DELETE", "nodes", &json!({ "ids": ids }).to_string()).await?;
        self.removed.fetch_add(report["removed"].as_u64().context("no number of removed nodes")?, Relaxed);
        Ok(())
    }

    fn id(&self, number: u64) -> anyhow::Result<String> {
        let parsed = hezar_formats::parse_link(self.link(number).trim_end());
        let (spec, _) = parsed.map_err(|code| anyhow::anyhow!("node {number} is none: {code:?}"))?;
        Ok(spec.id().to_string())
    }
}
