//! The mixed load: pages, transfers, echoes, idle tunnels, and clients that leave in the middle.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{bail, ensure};
use rand::{RngExt, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    pattern::{Damage, pattern},
    route::ProxyClient,
    site::{PAGE, request},
};

/// What one transfer moves.
const TRANSFER: usize = 1 << 20;
const ECHO: usize = 20_000;
/// A use that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of the uses.
#[derive(Debug, Default)]
pub(super) struct Tally {
    good: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    pub(super) fn good(&self) -> u64 {
        self.good.load(Relaxed)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} good, {} failed", self.good(), self.failed.load(Relaxed))
    }
}

/// One use after the other until `stop`.
pub(super) async fn run(
    client: ProxyClient,
    site: SocketAddr,
    mut random: StdRng,
    stop: CancellationToken,
    tally: Arc<Tally>,
) {
    while !stop.is_cancelled() {
        let done = timeout(PATIENCE, one(client, site, &mut random)).await;
        // A tunnel through a server that was killed is cut off: that is counted, not judged.
        let counter = if matches!(done, Ok(Ok(()))) { &tally.good } else { &tally.failed };
        counter.fetch_add(1, Relaxed);
    }
}

async fn one(client: ProxyClient, site: SocketAddr, random: &mut StdRng) -> anyhow::Result<()> {
    let (host, port) = ("127.0.0.1", site.port());
    let kind: u8 = random.random_range(0..100);
    if kind < 40 {
        let answer = client.get(host, port).await?;
        ensure!(answer.status == 200 && answer.body == PAGE.as_bytes(), "another page");
        return Ok(());
    }
    let socks: bool = random.random();
    let mut stream = if socks { client.socks(host, port).await? } else { client.connect(host, port).await? };
    match kind {
        40..60 => {
            stream.write_all(request("DOWN", TRANSFER).as_bytes()).await?;
            let mut bytes = vec![0; TRANSFER];
            stream.read_exact(&mut bytes).await?;
            Damage::check(&bytes, pattern(TRANSFER))?;
        }
        60..75 => {
            stream.write_all(request("UP", TRANSFER).as_bytes()).await?;
            stream.write_all(pattern(TRANSFER)).await?;
            let mut verdict = [0; 7];
            stream.read_exact(&mut verdict).await?;
            ensure!(&verdict == b"intact\n", "damaged");
        }
        75..90 => {
            stream.write_all(request("ECHO", 0).as_bytes()).await?;
            for _ in 0..random.random_range(1..4) {
                stream.write_all(pattern(ECHO)).await?;
                let mut back = vec![0; ECHO];
                stream.read_exact(&mut back).await?;
                Damage::check(&back, pattern(ECHO))?;
                sleep(Duration::from_millis(random.random_range(0..3_000))).await;
            }
        }
        90..=u8::MAX => {
            // Leaves while everything is on its way.
            stream.write_all(request("DOWN", TRANSFER).as_bytes()).await?;
            if stream.read(&mut [0; 1000]).await? == 0 {
                bail!("cut off");
            }
        }
        0..40 => {}
    }
    Ok(())
}
