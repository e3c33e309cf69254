//! Thousands of addresses that accept and never answer, for sweeps at scale.

use std::net::SocketAddr;

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    LabError,
    address::{listen, local, loopback, reserve},
};

/// The most connections that one address holds; it closes further ones at once.
const MAX_HELD: usize = 4096;

/// Listeners on 127.1.0.0/16 that hold every connection in silence. Dropping it ends them.
#[derive(Debug)]
pub struct SilentListeners {
    addresses: Vec<SocketAddr>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl SilentListeners {
    /// Listens on this many addresses (one descriptor each).
    ///
    /// # Errors
    /// [`LabError::Bind`], as when there are not enough descriptors.
    pub async fn start(addresses: usize) -> Result<Self, LabError> {
        let mut farm = Self {
            addresses: Vec::with_capacity(addresses),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        for index in 0..addresses {
            let socket = reserve(loopback(1, index)).map_err(LabError::Bind)?;
            farm.addresses.push(local(&socket).map_err(LabError::Bind)?);
            let listener = listen(socket).map_err(LabError::Bind)?;
            farm.tasks.spawn(hold(listener, farm.stop.clone()));
        }
        Ok(farm)
    }

    /// Where they listen.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// `count` links over the addresses in turn; several links to one address differ in the user.
    pub fn links(&self, count: usize) -> impl Iterator<Item = String> {
        let addresses = self.addresses.iter().cycle();
        addresses
            .take(count)
            .enumerate()
            .map(|(number, address)| format!("socks5://mute{number}:x@{address}#mute-{number}"))
    }

    /// Ends every listener and waits for them.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for SilentListeners {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Holds the connections of one address; each costs its socket and a small task until the client gives up.
async fn hold(listener: TcpListener, stop: CancellationToken) {
    let mut held = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = held.join_next(), if !held.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if held.len() < MAX_HELD => {
                    held.spawn(async move {
                        let mut sink = [0; 64];
                        while stream.readable().await.is_ok() {
                            match stream.try_read(&mut sink) {
                                Ok(0) => return,
                                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
                                Ok(_) | Err(_) => {}
                            }
                        }
                    });
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
        }
    }
}
