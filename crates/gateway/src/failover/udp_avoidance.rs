//! Remembers the nodes that have lately carried no datagrams although their protocol can: associations try other nodes first.
//!
//! This is no failure of the node: a server that relays no datagrams may still relay streams.

use std::{collections::VecDeque, time::Duration};

use hezar_core::{NodeId, Timestamp};
use parking_lot::Mutex;

/// The most nodes that are remembered; the oldest entry goes first.
const MOST: usize = 256;
/// How long a node is passed over.
const MEMORY: Duration = Duration::from_secs(600);

/// The nodes, in the order in which they were noted.
#[derive(Debug, Default)]
pub(crate) struct UdpAvoidance {
    noted: Mutex<VecDeque<(NodeId, Timestamp)>>,
}

impl UdpAvoidance {
    /// The node has carried nothing.
    pub(crate) fn insert(&self, node: NodeId, now: Timestamp) {
        self.remove(node);
        let mut noted = self.noted.lock();
        if noted.len() == MOST {
            noted.pop_front();
        }
        noted.push_back((node, now.after(MEMORY)));
    }

    /// The node has carried something.
    pub(crate) fn remove(&self, node: NodeId) {
        self.noted.lock().retain(|(other, _)| *other != node);
    }

    /// The nodes to pass over.
    pub(crate) fn nodes(&self, now: Timestamp) -> Vec<NodeId> {
        let mut noted = self.noted.lock();
        noted.retain(|(_, until)| *until > now);
        noted.iter().map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u16) -> NodeId {
        let [a, b] = number.to_be_bytes();
        NodeId::from_bytes([a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn remembers_for_a_while_and_not_too_many() {
        let (udp_avoidance, start) = (UdpAvoidance::default(), Timestamp(1_000_000));
        (0..300).for_each(|number| udp_avoidance.insert(node(number), start));
        udp_avoidance.insert(node(299), start);
        let nodes = udp_avoidance.nodes(start);
        assert_eq!((nodes.len(), nodes.first(), nodes.last()), (MOST, Some(&node(44)), Some(&node(299))));
        udp_avoidance.remove(node(299));
        udp_avoidance.insert(node(50), start.after(Duration::from_secs(1)));
        assert_eq!(udp_avoidance.nodes(start).last(), Some(&node(50)));
        assert_eq!(udp_avoidance.nodes(start.after(MEMORY)), [node(50)]);
    }
}
