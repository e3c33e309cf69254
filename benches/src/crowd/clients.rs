//! One client of each sort.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_lab::{DEMO_HOST, ECHO_HOST};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::Sort;
use crate::chaos::tunnel;

/// Opened at the same time.
const AT_ONCE: usize = 200;
const PATIENCE: Duration = Duration::from_secs(60);

/// A client; it ends when this is dropped.
pub(super) type Client = JoinSet<()>;

/// Opens so many clients of a sort; gives those that stand.
pub(super) async fn open(sort: Sort, proxy: SocketAddr, count: usize) -> anyhow::Result<Vec<Client>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in 0..count {
        let place = places.clone().acquire_owned().await?;
        opening.spawn(async move {
            let made = timeout(PATIENCE, one(sort, proxy, number)).await;
            drop(place);
            made
        });
    }
    Ok(opening.join_all().await.into_iter().filter_map(|made| made.ok()?.ok()).collect())
}

async fn one(sort: Sort, proxy: SocketAddr, number: usize) -> anyhow::Result<Client> {
    match sort {
        Sort::Idle => idle(proxy, number.is_multiple_of(2)).await,
        Sort::Reader => slow_reader(proxy).await,
        Sort::Writer => slow_writer(proxy).await,
        Sort::Bomb | Sort::Garbage => Ok(header_bomb(proxy)),
    }
}

/// Keeps a stream for as long as the client lives.
fn keep(stream: TcpStream) -> Client {
    let mut client = JoinSet::new();
    client.spawn(async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    client
}

/// One in two says something first, so that both kinds of idling are there.
async fn idle(proxy: SocketAddr, speaks: bool) -> anyhow::Result<Client> {
    let mut stream = tunnel(proxy, ECHO_HOST, 7).await?;
    if speaks {
        stream.write_all(b"hello").await?;
        stream.read_exact(&mut [0; 5]).await?;
    }
    Ok(keep(stream))
}

async fn slow_reader(proxy: SocketAddr) -> anyhow::Result<Client> {
    let mut stream = TcpStream::connect(proxy).await?;
    let request = format!("GET http://{DEMO_HOST}/bytes/100000000 HTTP/1.1\r\nHost: {DEMO_HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.read_exact(&mut [0; 12]).await?;
    Ok(keep(stream))
}

async fn slow_writer(proxy: SocketAddr) -> anyhow::Result<Client> {
    let mut stream = tunnel(proxy, DEMO_HOST, 80).await?;
    let mut client = JoinSet::new();
    client.spawn(async move {
        for byte in b"GET / HTTP/1.1\r\n".iter().chain([b'a'].iter().cycle()) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    Ok(client)
}

/// As many header lines as are taken, and never the last one.
fn header_bomb(proxy: SocketAddr) -> Client {
    let mut client = JoinSet::new();
    client.spawn(async move {
        loop {
            let Ok(mut stream) = TcpStream::connect(proxy).await else { return };
            let line = format!("X: {}\r\n", "a".repeat(1000));
            let mut going = stream.write_all(b"GET http://demo.hezar/ HTTP/1.1\r\n").await;
            while going.is_ok() {
                going = stream.write_all(line.as_bytes()).await;
            }
            sleep(Duration::from_millis(500)).await;
        }
    });
    client
}

/// Connections that say something that is no protocol, at a fixed rate.
pub(super) async fn flood(proxy: SocketAddr, rate: u64) {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0_u64.. {
        sleep_until(began + Duration::from_secs_f64(number as f64 / rate as f64)).await;
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            let talk = async {
                let mut stream = TcpStream::connect(proxy).await?;
                let nonsense = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                stream.write_all(&nonsense).await?;
                stream.read(&mut [0; 256]).await
            };
            // Whatever it says.
            let _ = timeout(Duration::from_secs(5), talk).await;
        });
    }
}
