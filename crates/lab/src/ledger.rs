//! The memory of the targets: every request that reached them, whichever way it came.

use std::{collections::HashMap, io};

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// The most different requests that are remembered.
const MOST: usize = 1 << 20;
/// The longest line.
const MAX_LINE: u64 = 1024;

/// How often each request arrived.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    seen: Mutex<HashMap<Box<str>, u64>>,
}

impl Ledger {
    /// Writes down a request and says how often it has been seen, this time included.
    pub(crate) fn note(&self, request: &str) -> u64 {
        let mut seen = self.seen.lock();
        if seen.len() >= MOST && !seen.contains_key(request) {
            return 1;
        }
        let count = seen.entry(request.into()).or_default();
        *count += 1;
        *count
    }

    /// Every request with how often it arrived, in the order of the alphabet.
    pub(crate) fn entries(&self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.seen.lock().iter().map(|(name, count)| (name.to_string(), *count)).collect();
        all.sort_unstable();
        all
    }
}

/// Writes down line after line. A line counts even when its end never comes: it has reached its target.
pub(crate) async fn serve<S>(tunnel: &mut S, ledger: &Ledger) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut tunnel = BufReader::new(tunnel);
    loop {
        let mut line = Vec::new();
        let result = (&mut tunnel).take(MAX_LINE).read_until(b'\n', &mut line).await;
        if line.is_empty() {
            return result.map(drop);
        }
        let count = ledger.note(String::from_utf8_lossy(&line).trim_end());
        result?;
        tunnel.write_all(format!("noted {count}\n").as_bytes()).await?;
        tunnel.flush().await?;
    }
}
