//! One Tor source: keeps its client running, and lists its circuits as nodes.

mod looks;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::bail;
use hezar_core::{NodeId, Secret};
use hezar_engine::Clock;
use hezar_tor::ControlConnection;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    circuits::{Backoff, CircuitTable},
    log::TorLog,
    own_client::{OwnClient, Start, is_alive},
};
use crate::{
    config::{TorCircuits, TorClient, TorSettings},
    geo::GeoLookup,
    nodes::Nodes,
    sources::{Collector, Provided, TOR_FAILED},
};
use looks::Looks;

/// How often the client is asked.
const LOOK: Duration = Duration::from_secs(1);
/// The pause before a client that has ended is started again; it doubles with each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// A client that has run for so long was no failure at its start.
const LONG_ENOUGH: Duration = Duration::from_secs(600);

/// What a source needs of the instance.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) settings: TorSettings,
    pub(super) collector: Arc<Collector>,
    pub(super) pool: Arc<Nodes>,
    pub(super) clock: Clock,
    /// Learns the countries of relays.
    pub(super) geo: Arc<GeoLookup>,
}

/// One source with its circuits.
pub(super) struct TorSource {
    pub(super) name: String,
    folder: PathBuf,
    client: TorClient,
    around: Surroundings,
    state: Mutex<SourceState>,
    /// The list has to be provided again.
    changed: Notify,
}

struct SourceState {
    table: CircuitTable,
    /// Where the client listens, once it can be used.
    socks: Option<SocketAddr>,
    /// What was said last while it could not.
    said: String,
    /// When nodes that the pool lacks are listed again: it may have no room for them, or they may be banned.
    relistings: Backoff,
}

impl TorSource {
    pub(super) fn new(name: &str, circuits: &TorCircuits, folder: PathBuf, around: Surroundings) -> Self {
        let table = CircuitTable::load(folder.join("circuits.json"), circuits.count);
        Self {
            name: name.to_owned(),
            folder,
            client: circuits.client.clone(),
            around,
            state: Mutex::new(SourceState { table, socks: None, said: String::new(), relistings: Backoff::default() }),
            changed: Notify::new(),
        }
    }

    /// Whether this source has the client that another configuration of it asks for.
    pub(super) fn has_client(&self, circuits: &TorCircuits) -> bool {
        self.client == circuits.client
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Changes how many circuits there are.
    pub(super) fn set_count(&self, count: usize) {
        let mut state = self.state.lock();
        if state.table.len() != count {
            state.table.set_count(count);
            self.changed.notify_one();
        }
    }

    /// Gives the circuit of a node another login; returns the node that takes its place. `None` when it is no node of this source.
    pub(super) fn renew(&self, node: NodeId) -> Option<NodeId> {
        let mut state = self.state.lock();
        let socks = state.socks?;
        let index = state.table.ids(socks).iter().position(|id| *id == node)?;
        state.table.renew(index);
        state.table.save();
        self.changed.notify_one();
        state.table.node(index, socks).map(|node| node.id())
    }

    /// Keeps the client running and its circuits listed, until the stop.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let ended = match &self.client {
                TorClient::Own { .. } => self.run_own(stop).await,
                TorClient::Existing { socks, control, password } => {
                    self.run_existing(*socks, *control, password.as_ref(), stop).await
                }
            };
            self.state.lock().socks = None;
            if stop.is_cancelled() {
                return;
            }
            if began.elapsed() >= LONG_ENOUGH {
                pause = FIRST_PAUSE;
            }
            let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| format!("{error:#}"));
            self.say(TOR_FAILED, &format!("{why}; tried again in {} s", pause.as_secs()));
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn run_own(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut log = TorLog::new(&self.name);
        let start = Start {
            settings: &self.around.settings,
            client: &self.client,
            folder: self.folder.clone(),
            port: self.state.lock().table.port(),
        };
        let mut client = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            client = OwnClient::start(start, &mut log) => client?,
        };
        let (mut looks, mut ticks) = (Looks::new(), ticks());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                how = client.follow_log(&mut log) => {
                    bail!("tor has ended ({how}): {}", log.last_trouble().unwrap_or("it does not say why"));
                }
                () = self.changed.notified() => self.publish(),
                _ = ticks.tick() => {
                    let looked = self.look(&mut client.control, &mut looks, None).await;
                    if let Err(error) = looked {
                        let why = log.last_trouble().map(|line| format!(" ({line})")).unwrap_or_default();
                        bail!("{error:#}{why}");
                    }
                    if looks.is_time_for_all() && let Some(owner) = client.other_owner().await? {
                        return self.leave(client, owner, &mut log, stop).await;
                    }
                }
            }
        }
        client.end().await;
        Ok(())
    }

    /// A process that takes this one's place has taken the client: it is used until the end, and not touched any more, unless that
    /// process fails.
    async fn leave(
        &self,
        mut client: OwnClient,
        owner: u32,
        log: &mut TorLog,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        client.release();
        tracing::info!(source = self.name, process = owner, "another process has taken the Tor client over");
        let mut ticks = ticks();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = client.follow_log(log) => {}
                _ = ticks.tick() => if client.other_owner().await.is_ok() { continue },
            }
            // The client has ended. Whoever has it starts another one.
            if !is_alive(owner) {
                bail!("the process that had taken the Tor client over has ended");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(LONGEST_PAUSE) => {}
            }
        }
    }

    async fn run_existing(
        &self,
        socks: SocketAddr,
        control: Option<SocketAddr>,
        password: Option<&Secret>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut control = match control {
            Some(address) => Some(ControlConnection::open(address, password).await?),
            None => {
                self.is_ready(socks);
                None
            }
        };
        let (mut looks, mut ticks) = (Looks::new(), ticks());
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.changed.notified() => self.publish(),
                _ = ticks.tick() => match &mut control {
                    Some(control) => self.look(control, &mut looks, Some(socks)).await?,
                    None => {
                        looks.number = looks.number.wrapping_add(1);
                        if looks.is_time_for_all() {
                            self.renew_failing();
                        }
                    }
                },
            }
        }
    }

    /// The client can be used.
    fn is_ready(&self, socks: SocketAddr) {
        let mut state = self.state.lock();
        state.socks = Some(socks);
        state.said.clear();
        if matches!(self.client, TorClient::Own { .. }) {
            state.table.set_port(socks.port());
        }
        state.table.save();
        drop(state);
        self.publish();
    }

    /// Says why there are no nodes; those that were listed stay as they are.
    fn say(&self, code: &'static str, text: &str) {
        if std::mem::replace(&mut self.state.lock().said, text.to_owned()) != text {
            self.provide(Provided::Nothing { code, text: text.to_owned() });
        }
    }

    /// Lists the circuits.
    fn publish(&self) {
        let state = self.state.lock();
        let Some(socks) = state.socks else { return };
        let links = state.table.links(socks);
        state.table.save();
        drop(state);
        self.provide(Provided::Links(links));
    }

    fn provide(&self, provided: Provided) {
        // What could not be read now is read when the next look finds that nodes are missing.
        if let Err(error) = self.around.collector.provide(&self.name, provided) {
            tracing::debug!(source = self.name, ?error, "the list of a Tor source is not read now");
        }
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
