//! The program behind the API: answers its questions from the pool and does what it asks.

mod about;
mod alerts;
mod bans;
pub(crate) mod codes;
pub(crate) mod connections;
mod cores;
mod dashboard;
pub(crate) mod events;
mod exits;
mod explain;
mod feed;
mod history;
mod instances;
mod listing;
mod live;
mod log;
mod manual;
mod nodes;
mod objects;
pub(crate) mod on_demand;
mod parts;
mod ports;
mod proxy_address;
mod sessions;
mod site_bans;
mod subscriptions;
mod trial;
mod usage;

use std::sync::Arc;

use hezar_api::{EventHub, JobTable, NodeDto};
use hezar_core::Timestamp;
use hezar_engine::TlsClients;
use hezar_gateway::{Connections, Sessions, Usage};
use hezar_pool::Node;
use hezar_store::Store;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use crate::{
    alerts::AlertWatch,
    annotations::Annotations,
    bans::Bans,
    certificates::Certificates,
    clash_engine::ClashEngine,
    cluster::Membership,
    cores::Cores,
    dashboard::DashboardState,
    diagnosis::Diagnosis,
    feed::NodeFeed,
    geo::GeoLookup,
    metrics::NodeMetrics,
    nodes::{Nodes, Payload},
    runtime::{Runtime, listeners::Listeners, prober::ProberSlot},
    sources::{Collector, status::SourceTable},
    store_sync::{site_bans::SiteBanSync, usage::UsageSync},
    takeover::DrainingProcesses,
    tokens::ApiTokens,
    tor::TorSources,
};
use connections::RateSampler;
use nodes::dto;

/// The running instance as the API sees it.
pub(crate) struct ApiBackend {
    pub(crate) pool: Arc<Nodes>,
    pub(crate) clock: hezar_engine::Clock,
    pub(crate) started: Timestamp,
    pub(crate) table: SourceTable,
    pub(crate) bans: Bans,
    pub(crate) annotations: Annotations,
    pub(crate) site_bans: Arc<SiteBanSync>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) node_metrics: NodeMetrics,
    pub(crate) alerts: Arc<AlertWatch>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: hezar_gateway::Metrics,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) prober: Arc<ProberSlot>,
    pub(crate) collector: Arc<Collector>,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) rates: RateSampler,
    pub(crate) hub: Arc<EventHub>,
    pub(crate) jobs: JobTable,
    /// For the pages that tests ask for over https.
    pub(crate) tls: TlsClients,
    /// Bounds the tests that run at a time.
    pub(crate) trials: Arc<Semaphore>,
    pub(crate) tokens: Arc<ApiTokens>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) usage_sync: Arc<UsageSync>,
    pub(crate) store: Arc<dyn Store>,
    /// Countries, networks and cities of addresses, as far as databases are configured.
    pub(crate) geo: Arc<GeoLookup>,
    pub(crate) dashboard: Arc<DashboardState>,
    pub(crate) tor: Arc<TorSources>,
    /// The Clash cores that serve, where they do.
    pub(crate) clash: Option<Arc<ClashEngine>>,
    /// The cores that dial what the native engine does not.
    pub(crate) cores: Arc<Cores>,
    /// What other instances follow.
    pub(crate) feed: Arc<NodeFeed>,
    /// This instance among those that share the store.
    pub(crate) membership: Arc<Membership>,
    /// Processes from which this one has taken over.
    pub(crate) draining: Arc<DrainingProcesses>,
}

impl ApiBackend {
    /// Why no request can be served now, in one line.
    fn why_nothing_works(&self) -> Option<String> {
        let core = self.clash.as_ref().and_then(|clash| clash.not_serving());
        core.or_else(|| self.diagnosis.refresh().map(|line| line.to_string()))
    }

    /// A node as the API shows it, with the name of its exit's city.
    pub(crate) fn node_dto(&self, node: &Node<Payload>) -> NodeDto {
        let ip = node.city().and_then(|_| node.record().exit_ip);
        let city = ip.and_then(|ip| self.geo.city_name(ip));
        let engine = self.cores.engine_of(node.spec()).ok().map(str::to_owned);
        NodeDto { city, engine, ..dto(&self.pool, node) }
    }
}
