//! The registry of everything that is alive: requests, tunnels and associations, with the bytes that they have moved.
//!
//! Whoever carries bytes holds its own entry and counts there without a lock; the registry is only locked when an entry
//! comes or goes, and when somebody lists or ends connections.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ahash::AHashMap;
use hezar_core::{NodeId, Target, Timestamp};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use crate::{Refusal, usage::UsageAccount};

mod end_signal;
mod node_traffic;
mod stream_meter;
#[cfg(test)]
mod tests;

pub(crate) use end_signal::EndSignal;
pub use node_traffic::NodeTraffic;
use node_traffic::NodeTrafficTable;
pub(crate) use stream_meter::{MeteredStream, StreamMeter};

/// The parts of the registry, each behind a lock of its own.
const SHARDS: usize = 16;

/// A connection as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Its number, which no other connection of this process has.
    pub id: u64,
    /// The listener that the client came to.
    pub listener: Arc<str>,
    /// How it came in: `http`, `connect`, `socks4`, `socks5` or `socks5-udp`; at an encrypted listener the name of its protocol, with `-udp`
    /// for an association.
    pub inbound: &'static str,
    /// The address of the client.
    pub client: IpAddr,
    /// The user; empty when the client gave no name.
    pub user: Box<str>,
    /// Where it goes; absent for an association, whose datagrams each name their own target.
    pub target: Option<Target>,
    /// When the request came.
    pub since: Timestamp,
    /// The node that serves it; absent while none is connected.
    pub node: Option<NodeId>,
    /// The exit address of the node, when it is known.
    pub exit: Option<IpAddr>,
    /// Bytes from the client to the node so far.
    pub up: u64,
    /// Bytes from the node to the client so far.
    pub down: u64,
}

/// Counters into which connections count as well: those of a listener, or of a user at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByteCounters {
    pub(crate) up: Counter,
    pub(crate) down: Counter,
}

impl ByteCounters {
    /// Counts further bytes.
    pub(crate) fn add(&self, up: u64, down: u64) {
        // Mostly it is one of them, and every core counts in the same place.
        if up > 0 {
            self.up.inc_by(up);
        }
        if down > 0 {
            self.down.inc_by(down);
        }
    }
}

/// What is known when a connection begins.
#[derive(Debug)]
pub(crate) struct NewConnection {
    pub(crate) listener: Arc<str>,
    pub(crate) inbound: &'static str,
    pub(crate) client: IpAddr,
    pub(crate) user: Box<str>,
    pub(crate) target: Option<Target>,
    pub(crate) since: Timestamp,
    /// Where its bytes are counted beside the connection itself.
    pub(crate) counters: [ByteCounters; 2],
    /// The account of its user; absent for a user that is not configured.
    pub(crate) account: Option<Arc<UsageAccount>>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    about: NewConnection,
    /// The node and its exit; they change when another node takes over.
    node: Mutex<Option<(NodeId, Option<IpAddr>)>>,
    up: AtomicU64,
    down: AtomicU64,
    end: CancellationToken,
    /// Why it is to be ended; absent when somebody asked for it through the API.
    end_reason: OnceLock<Refusal>,
}

impl Connection {
    /// Bytes have moved just now.
    pub(crate) fn add_bytes(&self, up: u64, down: u64) {
        self.up.fetch_add(up, Relaxed);
        self.down.fetch_add(down, Relaxed);
        self.about.counters.iter().for_each(|counters| counters.add(up, down));
        let Some(account) = &self.about.account else { return };
        account.add(up, down);
        self.end_when_exhausted();
    }

    /// Ends it when its user may move nothing more.
    fn end_when_exhausted(&self) {
        if let Some(refusal) = self.about.account.as_ref().and_then(|account| account.exhaustion()) {
            self.end_with(refusal);
        }
    }

    /// How many more bytes its user may move.
    pub(crate) fn allowance(&self) -> u64 {
        self.about.account.as_ref().map_or(u64::MAX, |account| account.left())
    }

    /// Ends it, and says why to whoever carries it.
    fn end_with(&self, reason: Refusal) {
        // The first reason stands.
        let _ = self.end_reason.set(reason);
        self.end.cancel();
    }

    /// Why it is to be ended; absent while it may go on.
    pub(crate) fn end_reason(&self) -> Option<Refusal> {
        self.end.is_cancelled().then(|| self.end_reason.get().cloned().unwrap_or(Refusal::Ended))
    }

    /// The bytes so far: from the client, and to it.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.up.load(Relaxed), self.down.load(Relaxed))
    }

    /// A node serves it from now on.
    pub(crate) fn set_node(&self, node: NodeId, exit: Option<IpAddr>) {
        *self.node.lock() = Some((node, exit));
    }

    /// Is cancelled when the connection is to be ended.
    pub(crate) const fn end(&self) -> &CancellationToken {
        &self.end
    }

    fn info(&self) -> ConnectionInfo {
        let (about, node) = (&self.about, *self.node.lock());
        let (up, down) = self.bytes();
        ConnectionInfo {
            id: self.id,
            listener: about.listener.clone(),
            inbound: about.inbound,
            client: about.client,
            user: about.user.clone(),
            target: about.target.clone(),
            since: about.since,
            node: node.map(|(node, _)| node),
            exit: node.and_then(|(_, exit)| exit),
            up,
            down,
        }
    }
}

type Shard = Mutex<BTreeMap<u64, Arc<Connection>>>;

/// Every connection of a gateway. There are never more than clients and associations may have.
#[derive(Debug, Default)]
pub struct Connections {
    shards: [Shard; SHARDS],
    last_id: AtomicU64,
    by_node: NodeTrafficTable,
}

impl Connections {
    /// Enters a connection, which stays until the guard is dropped.
    pub(crate) fn open(self: &Arc<Self>, about: NewConnection) -> OpenConnection {
        let id = self.last_id.fetch_add(1, Relaxed) + 1;
        let (up, down, node, end_reason) = Default::default();
        let connection = Arc::new(Connection { id, about, node, up, down, end: CancellationToken::new(), end_reason });
        self.shard(id).lock().insert(id, connection.clone());
        OpenConnection { registry: self.clone(), connection }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At most `limit` connections whose numbers are larger than `after`, the smallest numbers in front. The last number is
    /// the `after` of the next page.
    #[must_use]
    pub fn list(&self, after: u64, limit: usize) -> Vec<ConnectionInfo> {
        let page = |shard: &Shard| -> Vec<_> {
            shard.lock().range(after.saturating_add(1)..).take(limit).map(|(_, found)| found.clone()).collect()
        };
        let mut found: Vec<Arc<Connection>> = self.shards.iter().flat_map(page).collect();
        found.sort_unstable_by_key(|connection| connection.id);
        found.truncate(limit);
        found.iter().map(|connection| connection.info()).collect()
    }

    /// Bytes to each node and from it since the start, as far as it has carried any. There are at most 262,144 nodes in it.
    #[must_use]
    pub fn bytes_by_node(&self) -> HashMap<NodeId, (u64, u64)> {
        let bytes = self.traffic_by_node().into_iter().map(|(node, traffic)| (node, (traffic.up, traffic.down)));
        bytes.filter(|(_, bytes)| *bytes != (0, 0)).collect()
    }

    /// Requests and bytes of each node since the start, as far as it has served any. There are at most 262,144 nodes in it, and
    /// those of the connections that are alive. A connection that ends meanwhile may be missing, and is there the next time.
    #[must_use]
    pub fn traffic_by_node(&self) -> HashMap<NodeId, NodeTraffic> {
        let mut traffic = self.by_node.all();
        for shard in &self.shards {
            for connection in shard.lock().values() {
                let Some((node, _)) = *connection.node.lock() else { continue };
                traffic.entry(node).or_default().add(connection.bytes());
            }
        }
        traffic
    }

    /// The different exits through which the connections that are alive leave; a node whose exit is not known counts for itself.
    #[must_use]
    pub fn exits_in_use(&self) -> usize {
        let mut exits: HashSet<Result<IpAddr, NodeId>> = HashSet::new();
        for shard in &self.shards {
            let alive = shard.lock();
            let nodes = alive.values().filter_map(|connection| *connection.node.lock());
            exits.extend(nodes.map(|(node, exit)| exit.ok_or(node)));
        }
        exits.len()
    }

    /// Ends a connection; false when there is none with this number.
    pub fn end(&self, id: u64) -> bool {
        let found = self.shard(id).lock().get(&id).cloned();
        found.inspect(|connection| connection.end.cancel()).is_some()
    }

    /// Ends the connections for which `matches` is true; returns how many they are.
    pub fn end_matching(&self, matches: impl Fn(&ConnectionInfo) -> bool) -> usize {
        let mut ended = 0;
        for shard in &self.shards {
            // Nobody is woken while the lock is held.
            let connections: Vec<_> = shard.lock().values().cloned().collect();
            for connection in connections.iter().filter(|connection| matches(&connection.info())) {
                connection.end.cancel();
                ended += 1;
            }
        }
        ended
    }

    /// Ends the connections of configured users at a listener for whom `check` has an objection.
    pub(crate) fn end_refused(&self, listener: &str, check: impl Fn(&str) -> Result<(), Refusal>) {
        let mut checked: AHashMap<Box<str>, Option<Refusal>> = AHashMap::new();
        for shard in &self.shards {
            let connections: Vec<_> = shard.lock().values().cloned().collect();
            let of_users =
                connections.iter().filter(|one| one.about.account.is_some() && *one.about.listener == *listener);
            for connection in of_users {
                let user = &connection.about.user;
                let refusal = checked.entry(user.clone()).or_insert_with(|| check(user).err());
                if let Some(refusal) = refusal {
                    connection.end_with(refusal.clone());
                }
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is a place of the array")]
    fn shard(&self, id: u64) -> &Shard {
        &self.shards[id as usize % SHARDS]
    }
}

/// A connection that is in the registry until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    registry: Arc<Connections>,
    connection: Arc<Connection>,
}

impl OpenConnection {
    pub(crate) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.registry.shard(self.connection.id).lock().remove(&self.connection.id);
        let (node, bytes) = (*self.connection.node.lock(), self.connection.bytes());
        if let Some((node, _)) = node {
            self.registry.by_node.add(node, bytes);
        }
    }
}
