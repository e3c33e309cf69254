//! The ports of the API that are about nodes, sessions, what goes on now and the settings: each method asks the part that answers it.

use async_trait::async_trait;
use hezar_api::{
    AddQuery, AddReport, ApiError, BanDto, CodeDto, ConnectionsEnded, ConnectionsFilter, ConnectionsPage,
    ConnectionsQuery, DrainReport, DrainingDto, EndReport, EventHub, ExitDto, ExitsPage, ExitsQuery, ExplainDto,
    ExplainQuery, FeedbackReport, FeedbackRequest, FetchReport, FetchRequest, HealthDto, InstanceDto, JobTable,
    LiftReport, LinkDto, LivePort, LogPage, LogQuery, MarkReport, MarkRequest, NodeDto, NodesPage, NodesPort,
    NodesQuery, ProbeReport, ProbeRequest, ProxyDto, ProxyQuery, ReadyDto, ReloadReport, RemoveReport, RemoveRequest,
    RotateReport, Saved, SessionDto, SessionsPort, SessionsQuery, SettingsPort, SiteEvidenceDto, StatusDto, StoreDto,
    TestReport, TestRequest, TrafficDto, VersionDto,
};
use hezar_core::Role;
use hezar_pool::Node;
use hyper::body::Bytes;
use tokio::sync::watch;

use super::{ApiBackend, about, codes, events, listing, log};
use crate::{nodes::Payload, store_sync::snapshots, takeover::DrainingProcess};

#[async_trait]
impl NodesPort for ApiBackend {
    fn nodes(&self, query: &NodesQuery) -> Result<NodesPage, ApiError> {
        let show = |node: &Node<Payload>| self.node_dto(node);
        listing::page(&self.pool.snapshot(), query, &self.connections.bytes_by_node(), show)
    }

    fn node(&self, id: &str) -> Result<Option<NodeDto>, ApiError> {
        let Some(node) = self.find(id)?.and_then(|id| self.pool.node(id)) else { return Ok(None) };
        Ok(Some(listing::with_bytes(self.node_dto(&node), self.connections.bytes_by_node().get(&node.id()))))
    }

    fn link(&self, id: &str) -> Result<Option<LinkDto>, ApiError> {
        let node = self.find(id)?.and_then(|id| self.pool.node(id));
        Ok(node.map(|node| LinkDto { link: hezar_formats::to_link(node.spec(), &node.label()) }))
    }

    async fn add(&self, text: Bytes, query: &AddQuery) -> Result<Saved<AddReport>, ApiError> {
        self.add_by_hand(text, *query).await
    }

    async fn probe(&self, request: &ProbeRequest) -> Result<ProbeReport, ApiError> {
        self.probe_on_demand(request).await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<Saved<RemoveReport>, ApiError> {
        self.remove_nodes(request).await
    }

    async fn mark(&self, request: MarkRequest) -> Result<Saved<MarkReport>, ApiError> {
        self.mark_nodes(request).await
    }

    fn site_evidence(&self, id: &str, site: &str) -> Result<Option<SiteEvidenceDto>, ApiError> {
        self.evidence_at(id, site)
    }

    fn exits(&self, query: &ExitsQuery) -> Result<ExitsPage, ApiError> {
        self.exits_page(query)
    }

    fn exit(&self, ip: &str) -> Result<Option<ExitDto>, ApiError> {
        self.one_exit(ip)
    }

    fn rotate_node(&self, id: &str) -> Result<Option<RotateReport>, ApiError> {
        let Some(node) = self.find(id)?.filter(|id| self.pool.node(*id).is_some()) else { return Ok(None) };
        let no_circuit =
            || ApiError::Conflict("this node is no Tor circuit, or its Tor client is not ready".to_owned());
        let replacement = self.tor.renew(node).ok_or_else(no_circuit)?;
        Ok(Some(RotateReport { node: node.to_string(), replacement: replacement.to_string() }))
    }

    fn bans(&self) -> Vec<BanDto> {
        self.all_bans()
    }

    async fn lift(&self, ids: &[String]) -> Result<Saved<LiftReport>, ApiError> {
        self.lift_bans(ids).await
    }
}

#[async_trait]
impl SessionsPort for ApiBackend {
    fn sessions(&self, query: &SessionsQuery) -> Vec<SessionDto> {
        self.fitting_sessions(query)
    }

    async fn rotate(&self, id: &str) -> Result<Option<Saved<SessionDto>>, ApiError> {
        self.rotate_session(id).await
    }

    async fn end_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError> {
        self.forget_session(id).await
    }

    fn proxy_address(&self, query: &ProxyQuery, host: &str) -> Result<ProxyDto, ApiError> {
        self.ready_address(query, host)
    }

    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError> {
        self.note_feedback(request)
    }
}

#[async_trait]
impl LivePort for ApiBackend {
    async fn test(&self, request: &TestRequest) -> Result<TestReport, ApiError> {
        self.try_listener(request).await
    }

    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError> {
        self.explain_request(query)
    }

    fn health(&self) -> HealthDto {
        HealthDto { serving: self.pool.snapshot().counts().routable() > 0 }
    }

    fn ready(&self) -> ReadyDto {
        if *self.membership.draining().borrow() {
            return ReadyDto { ready: false, reason: Some("an operator drains this instance".to_owned()) };
        }
        if !self.membership.roles().has(Role::Gateway) {
            return ReadyDto { ready: true, reason: None };
        }
        if self.listeners.addresses().is_empty() {
            return ReadyDto { ready: false, reason: Some("no listener is open".to_owned()) };
        }
        if let Some(reason) = self.clash.as_ref().and_then(|clash| clash.not_serving()) {
            return ReadyDto { ready: false, reason: Some(reason) };
        }
        if self.pool.snapshot().counts().routable() > 0 {
            let from_copy = |written| {
                let age = self.clock.wall().since(written).as_secs();
                format!("the shared store is away: this instance serves from its copy of {age} s ago")
            };
            return ReadyDto { ready: true, reason: self.membership.copy_of().map(from_copy) };
        }
        let line = self.diagnosis.line.read().clone();
        let reason = line.map_or_else(|| "no node carries traffic".to_owned(), |line| line.to_string());
        ReadyDto { ready: false, reason: Some(reason) }
    }

    fn status(&self) -> StatusDto {
        let snapshot = self.pool.snapshot();
        let counts = snapshot.counts();
        let census = self.table.census(&snapshot);
        StatusDto {
            alerts: self.alerts.firing(),
            version: crate::version::VERSION.to_owned(),
            uptime_s: self.clock.now().since(self.started).as_secs(),
            proxy: self.listeners.addresses().first().map(ToString::to_string).unwrap_or_default(),
            listeners: self.listeners.status(),
            reason: self.why_nothing_works(),
            nodes: events::state_counts(&counts),
            exits: snapshot.exits(),
            schemes: census.schemes.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect(),
            sources: self.table.sources(&census, &self.pool.left_out()),
            traffic: self.traffic_so_far(),
            troubles: self.troubles(),
            store: StoreDto {
                snapshots: self.store.snapshot_status().map(|status| snapshots::dto(status, self.clock.wall())),
                ..self.table.store()
            },
            config: self.runtime.status(),
            certificates: self.certificates.status(),
            engine: self.clash.as_ref().map(|clash| clash.status()),
            draining: self.draining.list().into_iter().map(draining_dto).collect(),
        }
    }

    fn traffic(&self) -> TrafficDto {
        self.traffic_so_far()
    }

    fn connections(&self, query: &ConnectionsQuery) -> Result<ConnectionsPage, ApiError> {
        self.connections_page(query)
    }

    fn end_connection(&self, id: u64) -> bool {
        self.connections.end(id)
    }

    fn end_connections(&self, filter: &ConnectionsFilter) -> Result<ConnectionsEnded, ApiError> {
        self.end_fitting_connections(filter)
    }

    fn log(&self, query: &LogQuery) -> Result<LogPage, ApiError> {
        log::page(query)
    }

    fn log_changes(&self) -> watch::Receiver<u64> {
        crate::logs::recent().changes()
    }

    fn events(&self) -> &EventHub {
        &self.hub
    }

    fn jobs(&self) -> &JobTable {
        &self.jobs
    }

    fn codes(&self) -> Vec<CodeDto> {
        codes::all()
    }

    fn version(&self) -> VersionDto {
        about::version()
    }

    fn instances(&self) -> Vec<InstanceDto> {
        self.all_instances()
    }

    async fn drain(&self, name: &str, draining: bool) -> Result<DrainReport, ApiError> {
        self.set_draining(name, draining).await
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    fn node_metrics(&self) -> String {
        self.node_metrics.text(self.runtime.applied().config.api.metrics_nodes)
    }
}

#[async_trait]
impl SettingsPort for ApiBackend {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, ApiError> {
        self.fetch_on_demand(request).await
    }

    async fn reload(&self) -> Result<ReloadReport, ApiError> {
        let applied = self.runtime.reload().await.map_err(|error| ApiError::BadRequest(format!("{error:#}")))?;
        Ok(ReloadReport { changed: applied.changed, restart: applied.restart })
    }
}

fn draining_dto(process: DrainingProcess) -> DrainingDto {
    let DrainingProcess { pid, open, since } = process;
    DrainingDto { pid, connections: open, since: since.0 }
}
