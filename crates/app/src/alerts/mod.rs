//! Own alerts without Prometheus: troubles of this instance are found every few seconds, and told to the receivers of `[[alert]]`.

mod board;
mod facts;
mod message;
mod metrics;
mod progress;
mod sender;
mod troubles;
mod watch;

use board::AlertBoard;
pub(crate) use facts::FactSources;
use metrics::AlertMetrics;
pub(crate) use sender::AlertSender;
pub(crate) use watch::AlertWatch;

use std::sync::Arc;

use hezar_api::EventHub;
use hezar_engine::{AddressPolicy, Dialer, Engine, TlsClients};
use prometheus_client::registry::Registry;

use crate::{runtime::Runtime, sources::pool_dialer::PoolDialer};
use sender::Routes;

/// What alerts are made of, besides the facts.
pub(crate) struct AlertParts {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) tls: TlsClients,
    pub(crate) hub: Arc<EventHub>,
    /// The name of this machine, for messages.
    pub(crate) host: String,
}

/// Puts together what finds troubles and what tells of them.
pub(crate) fn build(
    facts: FactSources,
    parts: AlertParts,
    registry: &mut Registry,
) -> (Arc<AlertWatch>, Arc<AlertSender>) {
    let (pool, clock) = (Arc::clone(&facts.pool), facts.clock);
    let over_nodes = PoolDialer { pool: Arc::clone(&pool), engine: Arc::clone(&parts.engine), clock };
    let routes = Routes {
        pool: Arc::new(over_nodes) as Arc<dyn Dialer>,
        // An operator may have the receiver in the own network.
        direct: parts.engine.direct(AddressPolicy::allowing_private(true)),
        tls: parts.tls,
        has_nodes: Box::new(move || pool.snapshot().counts().routable() > 0),
    };
    let metrics = AlertMetrics::default();
    metrics.register(registry);
    let board = Arc::new(AlertBoard::default());
    let sender = Arc::new(AlertSender::new(routes, clock, metrics, Arc::clone(&board)));
    let watch = AlertWatch {
        sources: Arc::new(facts),
        runtime: parts.runtime,
        sender: Arc::clone(&sender),
        board,
        hub: parts.hub,
        host: parts.host,
    };
    (Arc::new(watch), sender)
}
