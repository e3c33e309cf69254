//! Bytes that each node has carried since the start, over connections that have ended.

use std::collections::HashMap;

use hezar_core::NodeId;
use parking_lot::Mutex;

/// The parts of the table, each behind a lock of its own.
const SHARDS: usize = 16;
/// The most nodes in one part; what further ones carry is not counted.
const MOST: usize = 16_384;

/// Bytes to a node, and from it.
type UpDown = (u64, u64);

/// The bytes by node.
#[derive(Debug, Default)]
pub(super) struct NodeBytes([Mutex<HashMap<NodeId, UpDown>>; SHARDS]);

impl NodeBytes {
    /// Adds what a connection has moved.
    pub(super) fn add(&self, node: NodeId, (up, down): UpDown) {
        let mut table = self.shard(node).lock();
        let full = table.len() >= MOST;
        match table.get_mut(&node) {
            Some(bytes) => *bytes = (bytes.0.saturating_add(up), bytes.1.saturating_add(down)),
            None if full => {}
            None => {
                table.insert(node, (up, down));
            }
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> HashMap<NodeId, UpDown> {
        self.0
            .iter()
            .flat_map(|shard| shard.lock().iter().map(|(id, bytes)| (*id, *bytes)).collect::<Vec<_>>())
            .collect()
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is a place of the array")]
    fn shard(&self, node: NodeId) -> &Mutex<HashMap<NodeId, UpDown>> {
        &self.0[node.as_bytes()[15] as usize % SHARDS]
    }
}
