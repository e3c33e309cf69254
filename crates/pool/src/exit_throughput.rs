//! How fast transfers were behind each exit: for nodes that have moved little themselves.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hezar_core::{ExitKey, Timestamp};

use crate::node::Throughput;

/// How many exits are remembered; of two with the same place the last one that moved something is.
const PLACES: usize = 4096;

/// An exit by its key (0 = none), and its speed. A reader may see the key of one exit with the speed of another for a moment.
#[derive(Debug)]
struct Place {
    exit: AtomicU64,
    throughput: Throughput,
}

/// The exits behind which something was moved.
#[derive(Debug)]
pub(crate) struct ExitThroughputs {
    places: Box<[Place]>,
}

impl ExitThroughputs {
    pub(crate) fn new() -> Self {
        let place = || Place { exit: AtomicU64::new(0), throughput: Throughput::new() };
        Self { places: (0..PLACES).map(|_| place()).collect() }
    }

    /// Takes in the speed of one transfer behind an exit, in bytes a second.
    pub(crate) fn record(&self, exit: ExitKey, bytes_per_sec: f32, now: Timestamp) {
        let Some(place) = self.place(exit) else { return };
        if place.exit.swap(exit.number(), Relaxed) != exit.number() {
            place.throughput.clear();
        }
        place.throughput.record(bytes_per_sec, now);
    }

    /// The smoothed speed behind an exit; `None` while little was moved there.
    pub(crate) fn get(&self, exit: ExitKey) -> Option<f32> {
        self.place(exit).filter(|place| place.exit.load(Relaxed) == exit.number())?.throughput.get()
    }

    /// The key of an exit is a hash, so that any of its bits spread the exits evenly.
    fn place(&self, exit: ExitKey) -> Option<&Place> {
        self.places.get(exit.number() as usize % PLACES)
    }
}
