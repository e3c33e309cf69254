//! A tunnel that lives long and exchanges bytes all the time.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use hezar_lab::ECHO_HOST;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{sleep, timeout},
};

use crate::chaos;

/// What is sent and has to come back.
const PIECE: usize = 1024;
/// A tunnel in which nothing comes back for so long is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// How one tunnel fared.
#[derive(Debug)]
pub struct Life {
    /// When it stood; nothing when it never did.
    pub opened: Option<Instant>,
    /// How long each exchange took.
    pub exchanges: Vec<Duration>,
    /// Why it broke, if it did.
    pub broken: Option<String>,
}

/// Opens a tunnel to the lab's echo and exchanges bytes in it, with a pause between, until `stop` is true.
pub async fn live(proxy: SocketAddr, number: u64, pause: Duration, stop: watch::Receiver<bool>) -> Life {
    let never = |reason| Life { opened: None, exchanges: Vec::new(), broken: Some(reason) };
    match timeout(PATIENCE, chaos::tunnel(proxy, ECHO_HOST, 7)).await {
        Ok(Ok(stream)) => live_on(stream, number, pause, stop).await,
        Ok(Err(error)) => never(format!("not opened: {error:#}")),
        Err(_) => never("not opened: the client gave up".to_owned()),
    }
}

/// The same in a stream to an echo that is open already.
pub async fn live_on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: u64,
    pause: Duration,
    mut stop: watch::Receiver<bool>,
) -> Life {
    let mut life = Life { opened: Some(Instant::now()), exchanges: Vec::new(), broken: None };
    loop {
        let begun = Instant::now();
        match timeout(PATIENCE, exchange(&mut stream, number ^ life.exchanges.len() as u64)).await {
            Ok(Ok(())) => life.exchanges.push(begun.elapsed()),
            Ok(Err(error)) => return Life { broken: Some(format!("{error:#}")), ..life },
            Err(_) => return Life { broken: Some("nothing comes back".to_owned()), ..life },
        }
        tokio::select! {
            () = sleep(pause) => {}
            // A sender that is gone means the same.
            _ = stop.wait_for(|stop| *stop) => return life,
        }
    }
}

/// Sends something and waits until it has come back.
///
/// # Errors
/// When it does not, or as something else.
pub async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), seed: u64) -> anyhow::Result<()> {
    let sent = seed.to_be_bytes().repeat(PIECE / 8);
    stream.write_all(&sent).await.context("write")?;
    let mut back = [0; PIECE];
    stream.read_exact(&mut back).await.context("read")?;
    ensure!(back == *sent, "other bytes came back");
    Ok(())
}
