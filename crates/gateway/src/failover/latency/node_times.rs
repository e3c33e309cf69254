//! How long each node took for each wait, smoothed: a table of fixed size in which a node may displace another one.

use std::time::Duration;

use hezar_core::NodeId;
use parking_lot::Mutex;

use super::Wait;

/// The places of the table. A node that has been displaced is measured anew, and until then compared with its probe.
const PLACES: usize = 4096;
/// The weight of a new sample (RFC 6298 has an eighth; requests over one node are few).
const WEIGHT: f32 = 0.2;

/// One node's smoothed times, in seconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    node: NodeId,
    smoothed: [Option<f32>; 3],
}

/// The table.
#[derive(Debug)]
pub(super) struct NodeTimes {
    places: Box<[Mutex<Option<Times>>]>,
}

impl NodeTimes {
    pub(super) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }

    /// What is expected of this node.
    pub(super) fn smoothed(&self, node: NodeId, wait: Wait) -> Option<Duration> {
        let times = (*self.place(node)?.lock()).filter(|times| times.node == node)?;
        let [dial, hello, head] = times.smoothed;
        let smoothed = match wait {
            Wait::Dial => dial,
            Wait::Hello => hello,
            Wait::Head => head,
        };
        Duration::try_from_secs_f32(smoothed?).ok()
    }

    /// Takes in a wait that ended well.
    pub(super) fn record(&self, node: NodeId, wait: Wait, took: Duration) {
        let Some(place) = self.place(node) else { return };
        let mut place = place.lock();
        let known = place.filter(|times| times.node == node);
        let mut times = known.unwrap_or(Times { node, smoothed: [None; 3] });
        let [dial, hello, head] = &mut times.smoothed;
        let smoothed = match wait {
            Wait::Dial => dial,
            Wait::Hello => hello,
            Wait::Head => head,
        };
        let took = took.as_secs_f32();
        *smoothed = Some(smoothed.map_or(took, |old| old + (took - old) * WEIGHT));
        *place = Some(times);
    }

    /// The id is a hash, so that any of its bytes spread the nodes evenly.
    fn place(&self, node: NodeId) -> Option<&Mutex<Option<Times>>> {
        let [first, second, ..] = *node.as_bytes();
        self.places.get(usize::from(u16::from_be_bytes([first, second])) % PLACES)
    }
}
