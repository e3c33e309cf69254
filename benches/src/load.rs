//! The load: tunnels by SOCKS5, counted and timed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use crate::{
    chaos,
    site::{REQUEST, Site, Verb},
};

/// A step of the load that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// A tunnel that cannot be opened by then ends the run.
const TRIES: usize = 4;

/// An open tunnel.
pub type Tunnel = Box<dyn TunnelStream>;

/// What can be read and written.
pub trait TunnelStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> TunnelStream for S {}

/// The way to the target.
#[derive(Clone)]
pub struct Way {
    socks: SocketAddr,
    target: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Tunnels that did not open at the first try, for whatever reason.
    failed: Arc<AtomicU64>,
}

impl Way {
    /// Through a SOCKS5 port; with `tls`, in TLS to the site of that name.
    ///
    /// # Errors
    /// When the name or the certificate is none.
    pub fn new(socks: SocketAddr, site: &Site, tls: Option<&str>) -> anyhow::Result<Self> {
        let Some(name) = tls else { return Ok(Self { socks, target: site.clear, tls: None, failed: Arc::default() }) };
        let tls = (chaos::trusting(&site.certificate)?, ServerName::try_from(name.to_owned())?);
        Ok(Self { socks, target: site.tls, tls: Some(tls), failed: Arc::default() })
    }

    /// How many tunnels did not open at the first try.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// A tunnel in which the answer to the first request has begun or, for an upload, the request is sent.
    ///
    /// # Errors
    /// When it fails several times running; a single failure is counted and tried again, as a client would.
    pub async fn open(&self, verb: Verb) -> anyhow::Result<Tunnel> {
        for _ in 1..TRIES {
            match timeout(PATIENCE, self.try_open(verb)).await {
                Ok(Ok(tunnel)) => return Ok(tunnel),
                _ => self.failed.fetch_add(1, Relaxed),
            };
        }
        timeout(PATIENCE, self.try_open(verb)).await.context("a tunnel hangs")?
    }

    async fn try_open(&self, verb: Verb) -> anyhow::Result<Tunnel> {
        let stream = connect(self.socks, self.target).await?;
        let mut stream: Tunnel = match &self.tls {
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
            None => Box::new(stream),
        };
        stream.write_all(&verb.request()).await?;
        stream.flush().await?;
        if verb == Verb::Echo {
            let mut echo = [0; REQUEST];
            stream.read_exact(&mut echo).await?;
            ensure!(echo == verb.request(), "the echo is damaged");
        }
        Ok(stream)
    }
}

async fn connect(socks: SocketAddr, target: SocketAddr) -> anyhow::Result<TcpStream> {
    let SocketAddr::V4(target) = target else { anyhow::bail!("the site listens on IPv4") };
    let mut stream = TcpStream::connect(socks).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[5, 1, 0]).await?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).await?;
    let mut request = vec![5, 1, 0, 1];
    request.extend(target.ip().octets());
    request.extend(target.port().to_be_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).await?;
    ensure!(reply.starts_with(&[5, 0, 0, 1]), "SOCKS was refused: {reply:?}");
    Ok(stream)
}

/// The times of `count` new requests, one after the other, sorted.
///
/// # Errors
/// When one fails.
pub async fn latencies(way: &Way, count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        way.open(Verb::Echo).await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// `count` tunnels with one echo each, `at_once` of them at a time; they are handed back open when `keep`.
///
/// # Errors
/// When one fails.
pub async fn tunnels(way: &Way, count: usize, at_once: usize, keep: bool) -> anyhow::Result<Vec<Tunnel>> {
    let mut workers = JoinSet::new();
    for worker in 0..at_once {
        let share = count / at_once + usize::from(worker < count % at_once);
        let way = way.clone();
        workers.spawn(async move {
            let mut open_ones = Vec::new();
            for _ in 0..share {
                let stream = way.open(Verb::Echo).await?;
                if keep {
                    open_ones.push(stream);
                }
            }
            anyhow::Ok(open_ones)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = workers.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

/// Moves `bytes` each way, over `streams` tunnels at a time, first all down, then all up.
///
/// # Errors
/// When a tunnel ends early.
pub async fn transfer(way: &Way, bytes: u64, streams: u64) -> anyhow::Result<()> {
    for up in [false, true] {
        let mut workers = JoinSet::new();
        for _ in 0..streams {
            let way = way.clone();
            workers.spawn(async move {
                let share = bytes / streams;
                let mut chunk = vec![0; 256 * 1024];
                let mut left = share;
                if up {
                    let mut stream = way.open(Verb::Up(share)).await?;
                    while left > 0 {
                        let part = usize::try_from(left)?.min(chunk.len());
                        stream.write_all(&chunk[..part]).await?;
                        left -= part as u64;
                    }
                    stream.flush().await?;
                    stream.read_u8().await?;
                } else {
                    let mut stream = way.open(Verb::Down(share)).await?;
                    while left > 0 {
                        let read = stream.read(&mut chunk).await?;
                        ensure!(read > 0, "the stream ended early");
                        left = left.saturating_sub(read as u64);
                    }
                }
                Ok(())
            });
        }
        while let Some(done) = timeout(PATIENCE * 2, workers.join_next()).await.context("a transfer hangs")? {
            done??;
        }
    }
    Ok(())
}
