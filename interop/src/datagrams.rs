//! Datagrams through the gateway: small and full-sized ones, several targets over one association, answers from
//! elsewhere, and none for a client that is not accepted.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use hezar_engine::Engine;
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    pattern::pattern,
    peer::Relays,
    route::{Association, Route},
};

/// A datagram may be lost: the question is asked again after this.
const AGAIN: Duration = Duration::from_millis(300);
/// A question that is not answered by then never will be.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client with a wrong credential waits for an answer that must not come.
const REFUSAL: Duration = Duration::from_millis(1200);
/// What fits into one packet of any path.
const FULL: usize = 1200;
/// Asks for an answer from the target's other socket.
const ELSEWHERE: &[u8] = b"elsewhere";

/// A target that sends everything back. Dropping it ends it.
struct Echo {
    address: SocketAddr,
    other: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Echo {
    async fn start() -> io::Result<Self> {
        let (socket, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
        let (address, other_address) = (socket.local_addr()?, other.local_addr()?);
        let serve = async move {
            let mut buffer = vec![0; 65_535];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let payload = buffer.get(..length).unwrap_or_default();
                let through = if payload.starts_with(ELSEWHERE) { &other } else { &socket };
                // A client that is gone does not matter.
                let _ = through.send_to(payload, from).await;
            }
        };
        Ok(Self { address, other: other_address, _server: AbortOnDropHandle::new(tokio::spawn(serve)) })
    }
}

/// Everything that a row whose peer relays datagrams must do.
pub(crate) async fn carried(link: String, relays: Relays, engine: &Arc<dyn Engine>) -> anyhow::Result<()> {
    let route = Route::start(&[&link], engine, PATIENCE).await?;
    let targets = [Echo::start().await?, Echo::start().await?, Echo::start().await?];
    let association = route.associate().await?.context("the association was refused")?;
    for round in 0..3_u8 {
        for (number, target) in targets.iter().enumerate() {
            let small = format!("round {round} target {number}");
            association.ask(target.address, small.as_bytes(), target.address).await.context(small)?;
        }
    }
    let full = pattern(FULL);
    for target in &targets {
        association.ask(target.address, full, target.address).await.context("a datagram of 1200 bytes")?;
    }
    if relays == Relays::Cone {
        for target in &targets {
            association.ask(target.address, ELSEWHERE, target.other).await.context("an answer from elsewhere")?;
        }
    }
    Ok(())
}

/// A client that is not accepted gets no answer.
pub(crate) async fn refused(link: String, engine: &Arc<dyn Engine>) -> anyhow::Result<()> {
    let route = Route::start(&[&link], engine, PATIENCE).await?;
    let target = Echo::start().await?;
    let Some(association) = route.associate().await? else {
        return Ok(());
    };
    let end = Instant::now() + REFUSAL;
    while Instant::now() < end {
        let asked = association.socket.send(&packet(target.address, b"let me in")).await;
        let mut buffer = [0; 2048];
        match timeout(AGAIN, association.socket.recv(&mut buffer)).await {
            Ok(Ok(length)) => bail!("it was answered: {:?}", buffer.get(..length)),
            // The gateway has closed its socket. Whoever has its port next, another row's target perhaps, is not asked.
            answer if asked.is_err() || answer.is_ok() => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

impl Association {
    /// Asks until the same payload comes back from `from`. Late answers to earlier questions are passed over.
    ///
    /// # Errors
    /// No answer or another one came for long, or the socket failed.
    pub async fn ask(&self, target: SocketAddr, payload: &[u8], from: SocketAddr) -> anyhow::Result<()> {
        let (question, expected) = (packet(target, payload), packet(from, payload));
        let end = Instant::now() + PATIENCE;
        let mut last = None;
        let mut buffer = vec![0; 65_535];
        while Instant::now() < end {
            self.socket.send(&question).await?;
            while let Ok(received) = timeout(AGAIN, self.socket.recv(&mut buffer)).await {
                let answer = buffer.get(..received?).unwrap_or_default();
                if answer == expected {
                    return Ok(());
                }
                last = Some(answer.get(..answer.len().min(32)).unwrap_or_default().to_vec());
            }
        }
        ensure!(last.is_some(), "no answer");
        bail!("another answer: it begins with {last:?}")
    }
}

/// A datagram of SOCKS5 to or from an address of IPv4.
fn packet(address: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 1];
    if let SocketAddr::V4(v4) = address {
        bytes.extend(v4.ip().octets());
    }
    bytes.extend(address.port().to_be_bytes());
    bytes.extend(payload);
    bytes
}
