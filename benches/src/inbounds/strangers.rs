//! Whoever comes to an encrypted inbound and is no client: garbage, half requests, half handshakes, and silence.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::ensure;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use crate::{
    chaos,
    node::SERVER_NAME,
    own_copy::{OwnCopy, until_ended},
};

/// How long each of them stays.
const STAYS: Duration = Duration::from_secs(10);

/// Strangers at a fixed rate, in a process of their own, for as long as this lives.
#[derive(Debug)]
pub struct Strangers {
    copy: OwnCopy,
}

impl Strangers {
    /// Starts this program again with the hidden command `strangers`, which calls [`Strangers::play`].
    ///
    /// # Errors
    /// When it does not start.
    pub async fn gather(address: SocketAddr, per_second: u32) -> anyhow::Result<Self> {
        let (copy, line) = OwnCopy::start(&["strangers", &address.to_string(), &per_second.to_string()]).await?;
        ensure!(line == "ready\n", "the strangers do not come: {line:?}");
        Ok(Self { copy })
    }

    /// Ends them; those who are there leave.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub async fn disperse(self) -> anyhow::Result<()> {
        self.copy.end().await
    }

    /// Is such strangers until standard input ends.
    ///
    /// # Errors
    /// When there may not be as many descriptors.
    pub async fn play(address: SocketAddr, per_second: u32) -> anyhow::Result<()> {
        rlimit::increase_nofile_limit(u64::MAX)?;
        let hello: Arc<[u8]> = client_hello().await?.into();
        let flood = tokio::spawn(flood(address, per_second, hello));
        println!("ready");
        until_ended().await?;
        flood.abort();
        Ok(())
    }
}

/// The first bytes of a TLS client; every stranger who sends them sends the same ones.
async fn client_hello() -> anyhow::Result<Vec<u8>> {
    let certificate = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
    let connector: TlsConnector = chaos::trusting(certificate.cert.der())?;
    let (near, mut far) = duplex(16 * 1024);
    let handshake = tokio::spawn(connector.connect(ServerName::try_from(SERVER_NAME)?, near));
    let mut hello = vec![0; 16 * 1024];
    let length = far.read(&mut hello).await?;
    handshake.abort();
    hello.truncate(length);
    Ok(hello)
}

async fn flood(address: SocketAddr, per_second: u32, hello: Arc<[u8]>) {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0_u64.. {
        sleep_until(began + Duration::from_secs_f64(number as f64 / f64::from(per_second))).await;
        while running.try_join_next().is_some() {}
        let hello = Arc::clone(&hello);
        // Whatever it is told, and whether it is let in at all.
        running.spawn(async move { timeout(STAYS, visit(address, number, &hello)).await });
    }
}

/// One stranger: each of five sorts in turn, until the other side ends it.
async fn visit(address: SocketAddr, number: u64, hello: &[u8]) -> std::io::Result<()> {
    let mut stream = connect(address, number).await?;
    let random = noise(number);
    let length = usize::try_from(number.wrapping_mul(31) % 600).unwrap_or_default() + 1;
    match number % 5 {
        0 => stream.write_all(&random[..length]).await?,
        1 => stream.write_all(&hello[..hello.len().min(length)]).await?,
        2 => stream.write_all(hello).await?,
        3 => stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?,
        _ => {}
    }
    let mut answer = [0; 4096];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

/// From one of many addresses of this machine: one has too few ports for an hour of strangers.
async fn connect(address: SocketAddr, number: u64) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let [.., third, fourth] = (number % 50_000).to_be_bytes();
    socket.bind(SocketAddr::from(([127, 9, third, fourth.max(1)], 0)))?;
    socket.connect(address).await
}

/// Bytes that look random, and are the same for the same number (splitmix64).
fn noise(number: u64) -> [u8; 600] {
    let mut bytes = [0; 600];
    let mut state = number.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
    }
    bytes
}
