//! What the requests of one listener need to choose nodes and to learn from them.

use std::sync::Arc;

use hezar_engine::{Clock, Dialer, Engine};
use hezar_pool::Pool;

use super::{
    Blame, Explanation, HedgeBudget, LatencyEstimator, NodeArrivals, RecentTargets, TransferSizes, UdpAvoidance,
};
use crate::{GroupSelections, Sessions, SharedSessions, config::Policy, telemetry::ListenerMetrics};

/// The pool and what was learned while requests were served from it.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) policy: Arc<Policy>,
    pub(crate) pool: Arc<Pool<Arc<dyn Dialer>>>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Clock,
    pub(crate) metrics: ListenerMetrics,
    pub(crate) sessions: Arc<Sessions>,
    /// The sessions of all gateways, where there are several.
    pub(crate) shared_sessions: Option<Arc<dyn SharedSessions>>,
    /// What a person has selected.
    pub(crate) groups: Arc<GroupSelections>,
    /// Why there is no node, when there is none.
    pub(crate) explanation: Explanation,
    /// How long answers take.
    pub(crate) latency: LatencyEstimator,
    /// How many hedges may start.
    pub(crate) hedge_budget: HedgeBudget,
    /// The requests that wait for a first node.
    pub(crate) node_arrivals: NodeArrivals,
    /// The nodes that have lately carried no datagrams.
    pub(crate) udp_avoidance: UdpAvoidance,
    /// The targets that were reached lately.
    pub(crate) recent_targets: RecentTargets,
    /// How much the requests of each user move.
    pub(crate) transfer_sizes: TransferSizes,
    /// Whether failures speak against nodes or against targets.
    pub(crate) blame: Blame,
}
