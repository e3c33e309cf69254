//! Servers that could not be reached a moment ago: their other nodes are left alone for seconds, until one of them works.
//!
//! Many nodes of a list differ in their credentials alone and stand at one host and port. When one of them cannot be reached
//! at all, the others cannot either. A server has a circuit as a node has: it rests, and one request tries it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use hezar_core::{ServerKey, Timestamp};

use crate::{Node, node::Circuit};

/// How many servers are remembered; of two with the same place the last one that failed is.
const PLACES: usize = 512;

/// A server, and whether it rests. A reader may see the server of one failure with the circuit of another, and a wrong
/// server rests for a moment.
#[derive(Debug, Default)]
struct Place {
    /// The key of its host; 0 = no server.
    host: AtomicU64,
    port: AtomicU32,
    circuit: Circuit,
}

impl Place {
    fn holds<D>(&self, node: &Node<D>) -> bool {
        ServerKey(self.host.load(Relaxed)) == node.server_key() && self.port.load(Relaxed) == port(node)
    }
}

/// The servers that failed last.
#[derive(Debug)]
pub(crate) struct ServerTable {
    places: Box<[Place]>,
    /// The end of the last rest, in ms: afterwards no server has to be looked up.
    rests_until: AtomicU64,
}

impl ServerTable {
    pub(crate) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| Place::default()).collect(), rests_until: AtomicU64::new(0) }
    }

    /// The node's server could not be reached.
    pub(crate) fn trip<D>(&self, node: &Node<D>, now: Timestamp) {
        let Some(place) = self.place(node) else { return };
        if !place.holds(node) {
            place.circuit.close();
            place.host.store(node.server_key().0, Relaxed);
            place.port.store(port(node), Relaxed);
        }
        place.circuit.trip(now);
        self.rests_until.fetch_max(place.circuit.until().0, Relaxed);
    }

    /// A node of the server has worked.
    pub(crate) fn close<D>(&self, node: &Node<D>) {
        if let Some(place) = self.place(node).filter(|place| place.holds(node)) {
            place.host.store(0, Relaxed);
            place.circuit.close();
        }
    }

    /// Whether the node's server should be left alone now.
    pub(crate) fn is_resting<D>(&self, node: &Node<D>, now: Timestamp) -> bool {
        self.rests_until.load(Relaxed) > now.0
            && self.place(node).is_some_and(|place| place.holds(node) && place.circuit.resting(now))
    }

    /// Asks to use the node's server; after a rest only one request may.
    pub(crate) fn admit<D>(&self, node: &Node<D>, now: Timestamp) -> bool {
        let Some(place) = self.place(node).filter(|place| place.holds(node)) else { return true };
        let admitted = place.circuit.admit(now);
        self.rests_until.fetch_max(place.circuit.until().0, Relaxed);
        admitted
    }

    /// The key of a host is a hash, so that any of its bits spread the servers evenly.
    fn place<D>(&self, node: &Node<D>) -> Option<&Place> {
        self.places.get(node.server_key().0 as usize % PLACES)
    }
}

fn port<D>(node: &Node<D>) -> u32 {
    node.spec().first_server().port().into()
}
