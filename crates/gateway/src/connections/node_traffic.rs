//! What each node has carried since the start, over connections that have ended.

use std::collections::HashMap;

use hezar_core::NodeId;
use parking_lot::Mutex;

/// The parts of the table, each behind a lock of its own.
const SHARDS: usize = 16;
/// The most nodes in one part; what further ones carry is not counted.
const MOST: usize = 16_384;

/// What a node has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeTraffic {
    /// Requests, tunnels and associations that it served last.
    pub requests: u64,
    /// Bytes from clients to it.
    pub up: u64,
    /// Bytes from it to clients.
    pub down: u64,
}

impl NodeTraffic {
    /// Adds one connection, with the bytes that it has moved up and down.
    pub(super) fn add(&mut self, (up, down): (u64, u64)) {
        self.requests = self.requests.saturating_add(1);
        self.up = self.up.saturating_add(up);
        self.down = self.down.saturating_add(down);
    }
}

/// The traffic by node.
#[derive(Debug, Default)]
pub(super) struct NodeTrafficTable([Mutex<HashMap<NodeId, NodeTraffic>>; SHARDS]);

impl NodeTrafficTable {
    /// Adds a connection that has ended, with the bytes that it has moved up and down.
    pub(super) fn add(&self, node: NodeId, bytes: (u64, u64)) {
        let mut table = self.shard(node).lock();
        let full = table.len() >= MOST;
        match table.get_mut(&node) {
            Some(traffic) => traffic.add(bytes),
            None if full => {}
            None => table.entry(node).or_default().add(bytes),
        }
    }

    /// All of it.
    pub(super) fn all(&self) -> HashMap<NodeId, NodeTraffic> {
        self.0
            .iter()
            .flat_map(|shard| shard.lock().iter().map(|(id, traffic)| (*id, *traffic)).collect::<Vec<_>>())
            .collect()
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is a place of the array")]
    fn shard(&self, node: NodeId) -> &Mutex<HashMap<NodeId, NodeTraffic>> {
        &self.0[node.as_bytes()[15] as usize % SHARDS]
    }
}
