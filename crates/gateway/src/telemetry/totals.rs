//! What the gateway has counted as a whole: requests, codes, latencies, volumes, and the last errors.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use hezar_core::{LatencyBuckets, NodeId, Target, Timestamp};
use parking_lot::{Mutex, RwLock};
use prometheus_client::metrics::gauge::Gauge;

use crate::connections::ByteCounters;

/// How many errors are remembered.
const MAX_RECENT_ERRORS: usize = 50;

/// What all listeners have counted together, since the start.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) ok: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Requests by code; a code is one of a table.
    pub(super) codes: RwLock<BTreeMap<&'static str, AtomicU64>>,
    /// Times to the first success, by bucket.
    pub(super) latency: [AtomicU64; LatencyBuckets::COUNT],
    pub(super) recent_errors: Mutex<VecDeque<RecentError>>,
    /// What single listeners have counted. There are only as many as were ever configured.
    pub(super) listeners: Mutex<BTreeMap<Arc<str>, Volumes>>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            codes: RwLock::default(),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
            recent_errors: Mutex::default(),
            listeners: Mutex::default(),
        }
    }
}

impl Totals {
    /// Counts a request under its code.
    pub(super) fn count_code(&self, code: &'static str) {
        if let Some(count) = self.codes.read().get(code) {
            count.fetch_add(1, Relaxed);
            return;
        }
        self.codes.write().entry(code).or_default().fetch_add(1, Relaxed);
    }

    /// Keeps an error in the place of the oldest one.
    pub(super) fn add_recent_error(&self, error: RecentError) {
        let mut errors = self.recent_errors.lock();
        if errors.len() >= MAX_RECENT_ERRORS {
            errors.pop_front();
        }
        errors.push_back(error);
    }
}

/// What one listener moves.
#[derive(Clone, Debug)]
pub(super) struct Volumes {
    pub(super) bytes: ByteCounters,
    pub(super) tunnels: Gauge,
    pub(super) connections: Gauge,
}

/// What has passed through a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that a node served.
    pub ok: u64,
    /// Requests that no node could serve.
    pub failed: u64,
    /// Requests that were refused by the client's own fault.
    pub refused: u64,
    /// Bytes from clients to nodes.
    pub up: u64,
    /// Bytes from nodes to clients.
    pub down: u64,
    /// Tunnels open now.
    pub tunnels: u64,
    /// Client connections open now.
    pub connections: u64,
}

/// A request that was not served, or a tunnel that failed.
#[derive(Clone, Debug)]
pub struct RecentError {
    /// When.
    pub at: Timestamp,
    /// How it came in.
    pub inbound: &'static str,
    /// Who asked.
    pub user: Box<str>,
    /// For what.
    pub target: Option<Target>,
    /// The node that was used last.
    pub node: Option<NodeId>,
    /// The stable code.
    pub code: &'static str,
}
