//! The Tor client of a source that Hezar starts: found again after a crash or a takeover, or started anew.

use std::{net::SocketAddr, net::TcpListener, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use hezar_child::find_program;
use hezar_tor::{ControlConnection, TorEvent, TorFolder, TorProcess, Torrc, find_transports};
use tokio::time::{Instant, sleep};

use super::log::TorLog;
use crate::config::{TorClient, TorSettings};

/// How long a client may take to open its control port.
const START: Duration = Duration::from_secs(30);
/// How long a client that is told to end may take.
const END: Duration = Duration::from_secs(5);
/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(100);

/// A client that runs, with its control connection.
#[derive(Debug)]
pub(super) struct OwnClient {
    /// Absent when the client was started by an earlier process.
    process: Option<TorProcess>,
    pub(super) control: ControlConnection,
    address: SocketAddr,
}

/// What a client is started with.
pub(super) struct Start<'a> {
    pub(super) settings: &'a TorSettings,
    pub(super) client: &'a TorClient,
    pub(super) folder: PathBuf,
    /// The SOCKS port that it had last.
    pub(super) port: Option<u16>,
}

impl OwnClient {
    /// Takes over the client that runs in the folder with this very configuration, or starts one.
    pub(super) async fn start(start: Start<'_>, log: &mut TorLog) -> anyhow::Result<Self> {
        let folder = TorFolder::create(std::path::absolute(&start.folder)?)?;
        let torrc = torrc(&start, &folder, start.port)?;
        if let Some(client) = Self::adopt(&folder, &torrc).await {
            return Ok(client);
        }
        let program = start.settings.binary.clone().or_else(|| find_program("tor"));
        let program = program
            .context("the program tor is not in PATH: install it (Debian: apt install tor), or set tor.binary")?;
        let port = start.port.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let torrc = if port == start.port { torrc } else { self::torrc(&start, &folder, port)? };
        let mut process = TorProcess::spawn(&program, &folder, &torrc, std::process::id())?;
        let address = control_port(&mut process, &folder, log).await?;
        let control = ControlConnection::open(address, None).await?;
        Ok(Self { process: Some(process), control, address })
    }

    /// The client that an earlier process has left in the folder. One with another configuration is ended.
    async fn adopt(folder: &TorFolder, torrc: &str) -> Option<Self> {
        let address = folder.control_port()?;
        let mut control = ControlConnection::open(address, None).await.ok()?;
        if !folder.torrc().is_some_and(|known| is_same(&known, torrc)) {
            // Whatever it answers: the next step finds out whether it has ended.
            let _ = control.halt().await;
            gone(address).await;
            return None;
        }
        control.set_owner(std::process::id()).await.ok()?;
        tracing::info!("the Tor client that runs already is taken over");
        Some(Self { process: None, control, address })
    }

    /// Writes its log until it has ended, and says how it did. Never completes for a client that another process has started. Cancel
    /// safe.
    pub(super) async fn follow_log(&mut self, log: &mut TorLog) -> String {
        let Some(process) = &mut self.process else { return std::future::pending().await };
        loop {
            match process.next_event().await {
                TorEvent::Line(line) => log.write(line),
                TorEvent::Ended(how) => return how,
            }
        }
    }

    /// Whose it is, when it is not ours any more: a process that takes this one's place takes its clients too.
    pub(super) async fn other_owner(&mut self) -> anyhow::Result<Option<u32>> {
        Ok(self.control.owner().await?.filter(|owner| *owner != std::process::id()))
    }

    /// Leaves it to the process that has taken it.
    pub(super) fn release(&mut self) {
        if let Some(process) = &mut self.process {
            process.release();
        }
    }

    /// Ends it, unless it belongs to another process by now.
    pub(super) async fn end(mut self) {
        if matches!(self.other_owner().await, Ok(Some(_))) {
            self.release();
            return;
        }
        // A client that does not answer is killed below.
        let _ = self.control.halt().await;
        match self.process {
            Some(process) => process.end().await,
            None => gone(self.address).await,
        }
    }
}

/// Whether a process runs.
#[cfg(unix)]
pub(super) fn is_alive(process: u32) -> bool {
    let pid = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    // One of another user cannot be signalled, and runs all the same.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Whether a process runs: that cannot be asked on this system.
#[cfg(not(unix))]
pub(super) const fn is_alive(_: u32) -> bool {
    true
}

/// The configuration of a source's client.
fn torrc(start: &Start<'_>, folder: &TorFolder, port: Option<u16>) -> anyhow::Result<String> {
    let TorClient::Own { exits, bridges } = start.client else { bail!("this client is started by somebody else") };
    let bridges: Vec<&str> = bridges.iter().map(|bridge| bridge.expose()).collect();
    let transports = find_transports(bridges.iter().copied())?;
    let torrc = Torrc {
        folder: folder.path(),
        socks_port: port,
        exits,
        bridges,
        transports: &transports,
        options: &start.settings.options,
    };
    Ok(torrc.text())
}

/// Whether two configurations differ in nothing but the SOCKS port, which the client says itself.
fn is_same(one: &str, other: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("SocksPort ")).map(str::to_owned).collect()
    };
    lines(one) == lines(other)
}

/// Waits until a client that was started has opened its control port.
async fn control_port(process: &mut TorProcess, folder: &TorFolder, log: &mut TorLog) -> anyhow::Result<SocketAddr> {
    let end = Instant::now() + START;
    loop {
        tokio::select! {
            biased;
            event = process.next_event() => match event {
                TorEvent::Line(line) => log.write(line),
                TorEvent::Ended(how) => {
                    bail!("tor ended at once ({how}): {}", log.last_trouble().unwrap_or("it does not say why"));
                }
            },
            () = sleep(LOOK) => {
                if let Some(address) = folder.control_port() {
                    return Ok(address);
                }
                if Instant::now() >= end {
                    bail!("tor has not opened its control port within {} s", START.as_secs());
                }
            }
        }
    }
}

/// Waits until nobody listens at an address any more, but not for long.
async fn gone(address: SocketAddr) {
    let end = Instant::now() + END;
    while Instant::now() < end && tokio::net::TcpStream::connect(address).await.is_ok() {
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{is_alive, is_same};

    #[test]
    fn a_process_that_has_ended_is_not_alive() {
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(child.id()));
    }

    #[test]
    fn configurations_are_the_same_but_for_the_port() {
        assert!(is_same("a\nSocksPort 127.0.0.1:auto x\nb", "a\nSocksPort 127.0.0.1:9 x\nb"));
        assert!(!is_same("a\nSocksPort 1\nb", "a\nSocksPort 1\nc"));
    }
}
