//! What the API asks, answered from the pool.

use std::sync::Arc;

use async_trait::async_trait;
use hezar_api::{
    AddQuery, AddReport, ApiError, BanDto, Control, EndReport, ExplainDto, ExplainQuery, FeedbackReport,
    FeedbackRequest, FetchReport, FetchRequest, HealthDto, LiftReport, NodeDto, NodesPage, NodesQuery, ProbeReport,
    ProbeRequest, RemoveReport, RemoveRequest, Saved, SessionDto, SessionsQuery, SourceDto, StateCounts, StatusDto,
};
use hezar_core::Timestamp;
use hezar_gateway::{GatewayConfig, Sessions};
use hezar_pool::{Node, State};
use hezar_probe::Prober;
use hyper::body::Bytes;
use prometheus_client::{
    collector::Collector as MetricsCollector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use tokio::runtime::Handle;

use crate::{
    bans::Bans,
    board::Board,
    collect::Collector,
    diagnosis::Diagnosis,
    instance::{Nodes, Payload},
    order,
};

/// The running instance as the API sees it.
pub(crate) struct Desk {
    pub(crate) pool: Arc<Nodes>,
    pub(crate) clock: hezar_engine::Clock,
    pub(crate) started: Timestamp,
    pub(crate) proxy: std::net::SocketAddr,
    pub(crate) board: Board,
    pub(crate) bans: Bans,
    pub(crate) registry: Arc<Registry>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: hezar_gateway::Metrics,
    /// The listeners, the first one in front.
    pub(crate) listeners: Vec<GatewayConfig>,
    pub(crate) prober: Arc<Prober>,
    pub(crate) collector: Arc<Collector>,
    pub(crate) diagnosis: Diagnosis,
}

#[async_trait]
impl Control for Desk {
    fn nodes(&self, query: &NodesQuery) -> Result<NodesPage, ApiError> {
        let (filter, order) = (Filter::new(query)?, order::read(query.sort.as_deref())?);
        let (offset, size) = (query.offset.unwrap_or(0), query.page_size());
        let snapshot = self.pool.snapshot();
        let mut fitting: Vec<_> = snapshot.nodes().filter(|node| filter.fits(node)).collect();
        order.sort(&mut fitting);
        let nodes = fitting.iter().skip(offset).take(size).map(|node| dto(node)).collect();
        Ok(NodesPage { total: fitting.len(), offset, nodes })
    }

    fn node(&self, id: &str) -> Result<Option<NodeDto>, ApiError> {
        Ok(self.find(id)?.and_then(|id| self.pool.node(id)).map(|node| dto(&node)))
    }

    async fn add(&self, text: Bytes, query: &AddQuery) -> Result<Saved<AddReport>, ApiError> {
        self.add_by_hand(text, *query).await
    }

    async fn probe(&self, request: &ProbeRequest) -> Result<ProbeReport, ApiError> {
        self.probe_on_demand(request).await
    }

    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, ApiError> {
        self.fetch_on_demand(request).await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<Saved<RemoveReport>, ApiError> {
        self.remove_nodes(request).await
    }

    fn bans(&self) -> Vec<BanDto> {
        self.all_bans()
    }

    async fn lift(&self, ids: &[String]) -> Result<Saved<LiftReport>, ApiError> {
        self.lift_bans(ids).await
    }

    fn sessions(&self, query: &SessionsQuery) -> Vec<SessionDto> {
        self.fitting_sessions(query)
    }

    async fn rotate(&self, id: &str) -> Result<Option<Saved<SessionDto>>, ApiError> {
        self.rotate_session(id).await
    }

    async fn end_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError> {
        self.forget_session(id).await
    }

    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError> {
        self.note_feedback(request)
    }

    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError> {
        self.explain_request(query)
    }

    fn health(&self) -> HealthDto {
        HealthDto { serving: self.pool.snapshot().counts().routable() > 0 }
    }

    fn status(&self) -> StatusDto {
        let snapshot = self.pool.snapshot();
        let counts = snapshot.counts();
        let census = self.board.census(&snapshot);
        let nodes = StateCounts {
            new: counts.new,
            healthy: counts.healthy,
            suspect: counts.suspect,
            dead: counts.dead,
            unsupported: counts.unsupported,
            quarantined: counts.quarantined,
        };
        StatusDto {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.clock.now().since(self.started).as_secs(),
            proxy: self.proxy.to_string(),
            reason: self.diagnosis.refresh().map(|line| line.to_string()),
            nodes,
            exits: snapshot.exits(),
            schemes: census.schemes.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect(),
            sources: self.board.sources(&census, &self.pool.left_out()),
            traffic: self.traffic(),
            troubles: self.troubles(),
            store: self.board.store(),
        }
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// The filters of one query, read once.
pub(crate) struct Filter {
    state: Option<&'static str>,
    scheme: Option<String>,
    source: Option<String>,
    country: Option<[u8; 2]>,
    search: Option<String>,
}

impl Filter {
    pub(crate) fn new(query: &NodesQuery) -> Result<Self, ApiError> {
        let state = query.state.as_deref().map(|asked| {
            let states = State::ALL.into_iter().map(State::name).chain([UNSUPPORTED, QUARANTINED]);
            states.into_iter().find(|state| *state == asked).ok_or_else(|| {
                let known = "new, healthy, suspect, dead, unsupported, quarantined";
                ApiError::BadRequest(format!("state {asked:?} is not one of {known}"))
            })
        });
        let country = query.country.as_deref().map(|text| {
            <[u8; 2]>::try_from(text.to_ascii_uppercase().as_bytes())
                .map_err(|_| ApiError::BadRequest(format!("country {text:?} is not a two-letter code")))
        });
        Ok(Self {
            state: state.transpose()?,
            scheme: query.scheme.clone(),
            source: query.source.clone(),
            country: country.transpose()?,
            search: query.search.as_ref().map(|text| text.to_lowercase()),
        })
    }

    pub(crate) fn fits(&self, node: &Node<Payload>) -> bool {
        self.state.is_none_or(|state| state_name(node) == state)
            && self.scheme.as_deref().is_none_or(|scheme| node.spec().scheme() == scheme)
            && self.source.as_deref().is_none_or(|source| node.listed_by(source))
            && self.country.is_none_or(|country| node.country() == Some(country))
            && self.search.as_deref().is_none_or(|text| {
                node.label().as_str().to_lowercase().contains(text) || node.spec().server.to_string().contains(text)
            })
    }
}

/// The state of a node that no dialer can be built for: it counts in no other.
const UNSUPPORTED: &str = "unsupported";
/// The state of a node that was caught tampering.
const QUARANTINED: &str = "quarantined";

pub(crate) fn state_name(node: &Node<Payload>) -> &'static str {
    match node.unsupported() {
        Some(_) => UNSUPPORTED,
        None if node.quarantine().is_some() => QUARANTINED,
        None => node.state().name(),
    }
}

pub(crate) fn dto(node: &Node<Payload>) -> NodeDto {
    let spec = node.spec();
    let record = node.record();
    NodeDto {
        id: node.id().to_string(),
        name: node.label().as_str().to_owned(),
        state: state_name(node).to_owned(),
        scheme: spec.scheme().to_owned(),
        server: spec.server.host().to_string(),
        port: spec.server.port(),
        transport: spec.transport().name().to_owned(),
        security: spec.security().name().to_owned(),
        insecure: node.insecure(),
        carries: node.http_ability().name().map(Into::into),
        latency_ms: record.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        failures: record.failures,
        in_flight: node.in_flight(),
        last_ok: record.last_ok.map(|at| at.0),
        last_checked: record.last_checked.map(|at| at.0),
        next_check: node.next_check().filter(|_| record.unsupported.is_none()).map(|at| at.0),
        last_error: record.failure.map(|failure| failure.code.to_owned()),
        exit_ip: record.exit_ip.map(|ip| ip.to_string()),
        country: record.country.map(|code| String::from_utf8_lossy(&code).into_owned()),
        sources: node.sources().iter().map(|listing| listing.source.to_string()).collect(),
        unsupported: record.unsupported.map(str::to_owned),
        quarantine: record.quarantine.map(|caught| caught.code.to_owned()),
    }
}

/// Counts of the pool, read from its snapshot when the metrics are asked for.
pub(crate) fn register_pool(registry: &mut Registry, pool: Arc<Nodes>, board: Board) {
    registry.register_collector(Box::new(PoolCollector { pool, board }));
}

/// Tasks of the program that have not ended: what a leak would show in.
pub(crate) fn register_tasks(registry: &mut Registry) {
    registry.register_collector(Box::new(TaskCollector(Handle::current())));
}

#[derive(Debug)]
struct TaskCollector(Handle);

impl MetricsCollector for TaskCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let tasks = i64::try_from(self.0.metrics().num_alive_tasks()).unwrap_or(i64::MAX);
        let gauge = ConstGauge::new(tasks);
        let help = "Tasks that have not ended";
        gauge.encode(encoder.encode_descriptor("hezar_tasks", help, None, gauge.metric_type())?)
    }
}

struct PoolCollector {
    pool: Arc<Nodes>,
    board: Board,
}

impl std::fmt::Debug for PoolCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolCollector").finish_non_exhaustive()
    }
}

impl MetricsCollector for PoolCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let snapshot = self.pool.snapshot();
        let counts = snapshot.counts();
        let mut family = encoder.encode_descriptor(
            "hezar_pool_nodes",
            "Nodes per state; unsupported and quarantined ones count in no other state",
            None,
            MetricType::Gauge,
        )?;
        for (state, number) in [
            ("new", counts.new),
            ("healthy", counts.healthy),
            ("suspect", counts.suspect),
            ("dead", counts.dead),
            ("unsupported", counts.unsupported),
            ("quarantined", counts.quarantined),
        ] {
            ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX))
                .encode(family.encode_family(&[("state", state)])?)?;
        }
        let exits = ConstGauge::new(i64::try_from(snapshot.exits()).unwrap_or(i64::MAX));
        let help = "Different exits behind the nodes that carry traffic";
        exits.encode(encoder.encode_descriptor("hezar_pool_exits", help, None, MetricType::Gauge)?)?;
        let mut family = encoder.encode_descriptor(
            "hezar_source_nodes",
            "Nodes that each source lists now",
            None,
            MetricType::Gauge,
        )?;
        for (source, _, number) in self.pool.sources() {
            ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX))
                .encode(family.encode_family(&[("source", &*source)])?)?;
        }
        let sources = self.board.sources(&self.board.census(&snapshot), &self.pool.left_out());
        let whole = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        type Reading = fn(&SourceDto) -> Option<u64>;
        let families: [(&str, &str, Reading); 4] = [
            ("hezar_source_exits", "Different live exits that each source gives", |s| Some(s.exits as u64)),
            ("hezar_source_unique_exits", "Live exits that no other source gives", |s| Some(s.unique_exits as u64)),
            ("hezar_source_half_life_seconds", "Time after which half of its nodes have died", |s| s.half_life_s),
            ("hezar_source_quarantined", "1 while a source is fetched rarely, as nothing in it works", |s| {
                Some(u64::from(s.quarantined))
            }),
        ];
        for (name, help, reading) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for source in &sources {
                if let Some(number) = reading(source) {
                    whole(number).encode(family.encode_family(&[("source", source.name.as_str())])?)?;
                }
            }
        }
        Ok(())
    }
}
