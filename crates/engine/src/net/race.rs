//! Happy Eyeballs (RFC 8305): connects to several addresses of one name, each a little later than the one before; the
//! first connection that stands is used.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;

/// How long an address may stay silent before the next one is tried beside it (RFC 8305 §5).
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// The most addresses tried for one connection.
pub(super) const MOST: usize = 8;

/// Orders addresses for the race: IPv6 first, then the families in turn (RFC 8305 §4); at most [`MOST`].
pub(super) fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut v6 = addresses.iter().filter(|a| a.is_ipv6());
    let mut v4 = addresses.iter().filter(|a| a.is_ipv4());
    let mut ordered = Vec::with_capacity(addresses.len().min(MOST));
    while ordered.len() < MOST {
        let round = [v6.next(), v4.next()];
        if round == [None, None] {
            break;
        }
        ordered.extend(round.into_iter().flatten().copied());
    }
    ordered.truncate(MOST);
    ordered
}

/// Starts `connect` for each address, the next one as soon as the last one fails or [`STAGGER`] has passed. The first
/// success wins and drops the others; when all fail, the most telling failure is returned.
pub(super) async fn first<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    if let [only] = addresses[..] {
        return connect(only).await;
    }
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        match waiting.next() {
            Some(address) => running.push(connect(address)),
            None if running.is_empty() => {
                return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
            }
            None => {}
        }
        tokio::select! {
            biased;
            Some(result) = running.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Some(more_telling(failure, error)),
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

/// The earlier failure belongs to the preferred address, unless it only says that we have no such address family.
fn more_telling(earlier: Option<io::Error>, later: io::Error) -> io::Error {
    match earlier {
        Some(earlier) if earlier.kind() != io::ErrorKind::NetworkUnreachable => earlier,
        _ => later,
    }
}
