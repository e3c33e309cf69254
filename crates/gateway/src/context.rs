//! What the connections of one listener share.

use std::{net::SocketAddr, sync::Arc};

use hezar_engine::{Clock, Dialer, Engine};
use hezar_pool::Pool;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    GatewayConfig, Metrics, Refusal, Sessions,
    access::{Accounts, ClientTable, FailedLogins, LogLimit, RejectBudget},
    failover::{Blame, Explanation, HedgeBudget, LatencyEstimator, RecentTargets, UdpAvoidance},
};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Context {
    pub config: GatewayConfig,
    pub pool: Arc<Pool<Arc<dyn Dialer>>>,
    pub engine: Arc<dyn Engine>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub sessions: Arc<Sessions>,
    /// Why there is no node, when there is none.
    pub explanation: Explanation,
    pub accounts: Accounts,
    /// The connections, and which of them have not logged in.
    pub clients: Arc<ClientTable>,
    pub failed_logins: FailedLogins,
    /// How often the log is told the same.
    pub log: LogLimit,
    /// How much refused clients are heard out.
    pub reject_budget: RejectBudget,
    /// How long answers take.
    pub latency: LatencyEstimator,
    /// How many hedges may start.
    pub hedge_budget: HedgeBudget,
    /// One permit per open association.
    pub associations: Arc<Semaphore>,
    /// The nodes that have lately carried no datagrams.
    pub udp_avoidance: UdpAvoidance,
    /// The targets that were reached lately.
    pub recent_targets: RecentTargets,
    /// Whether failures speak against nodes or against targets.
    pub blame: Blame,
    /// The owner of every task of the gateway.
    pub tasks: TaskTracker,
    /// Begins the drain: no new requests.
    pub drain: CancellationToken,
    /// Ends what is left after the grace period.
    pub kill: CancellationToken,
}

/// Notes a connection that ended before it had made a request.
pub(crate) fn reject(context: &Context, client: SocketAddr, refusal: &Refusal) {
    context.metrics.rejected(refusal.code());
    tracing::debug!(%client, code = refusal.code(), reason = %refusal, "connection rejected");
}
