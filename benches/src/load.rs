//! The load: tunnels by SOCKS5, counted and timed.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::site::{REQUEST, Verb};

/// A step of the load that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tunnel through `socks` to `site` in which the answer to the first request has begun or, for an upload, the request
/// is sent.
///
/// # Errors
/// When any step fails.
pub async fn open(socks: SocketAddr, site: SocketAddr, verb: Verb) -> anyhow::Result<TcpStream> {
    timeout(PATIENCE, try_open(socks, site, verb)).await.context("a tunnel hangs")?
}

async fn try_open(socks: SocketAddr, site: SocketAddr, verb: Verb) -> anyhow::Result<TcpStream> {
    let SocketAddr::V4(target) = site else { anyhow::bail!("the site listens on IPv4") };
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
    stream.write_all(&verb.request()).await?;
    if verb == Verb::Echo {
        let mut echo = [0; REQUEST];
        stream.read_exact(&mut echo).await?;
        ensure!(echo == verb.request(), "the echo is damaged");
    }
    Ok(stream)
}

/// The times of `count` new requests, one after the other, sorted.
///
/// # Errors
/// When one fails.
pub async fn latencies(socks: SocketAddr, site: SocketAddr, count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        open(socks, site, Verb::Echo).await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// `count` tunnels with one echo each, `at_once` of them at a time; they are handed back open when `keep`.
///
/// # Errors
/// When one fails.
pub async fn tunnels(
    socks: SocketAddr,
    site: SocketAddr,
    count: usize,
    at_once: usize,
    keep: bool,
) -> anyhow::Result<Vec<TcpStream>> {
    let mut workers = JoinSet::new();
    for worker in 0..at_once {
        let share = count / at_once + usize::from(worker < count % at_once);
        workers.spawn(async move {
            let mut open_ones = Vec::new();
            for _ in 0..share {
                let stream = open(socks, site, Verb::Echo).await?;
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
pub async fn transfer(socks: SocketAddr, site: SocketAddr, bytes: u64, streams: u64) -> anyhow::Result<()> {
    for up in [false, true] {
        let mut workers = JoinSet::new();
        for _ in 0..streams {
            workers.spawn(async move {
                let share = bytes / streams;
                let mut chunk = vec![0; 256 * 1024];
                let mut left = share;
                if up {
                    let mut stream = open(socks, site, Verb::Up(share)).await?;
                    while left > 0 {
                        let part = usize::try_from(left)?.min(chunk.len());
                        stream.write_all(&chunk[..part]).await?;
                        left -= part as u64;
                    }
                    stream.read_u8().await?;
                } else {
                    let mut stream = open(socks, site, Verb::Down(share)).await?;
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
