//! An instance that answers without one behind it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hyper::body::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::*;

/// Counts how often the metrics are made.
pub(crate) struct Fake {
    pub(super) metrics_made: AtomicUsize,
    /// The numbers of the connections that are alive.
    pub(crate) alive: Mutex<BTreeSet<u64>>,
    pub(super) hub: Arc<EventHub>,
    pub(super) jobs: JobTable,
    /// The number of the last line of the log.
    pub(crate) logged: watch::Sender<u64>,
    pub(crate) dashboard: clash::tests::FakeDashboard,
}

impl Default for Fake {
    fn default() -> Self {
        let hub = Arc::new(EventHub::new(1));
        let jobs = JobTable::new(Arc::clone(&hub), || hezar_core::Timestamp(1));
        let alive = Mutex::new(BTreeSet::from([1, 2, 3]));
        Self {
            metrics_made: AtomicUsize::new(0),
            alive,
            hub,
            jobs,
            logged: watch::Sender::new(2),
            dashboard: Default::default(),
        }
    }
}

fn connection(id: u64) -> ConnectionDto {
    ConnectionDto {
        id,
        user: "alice".into(),
        listener: "proxy".into(),
        inbound: "connect".into(),
        client: "127.0.0.1".into(),
        target: Some("example.com:443".into()),
        node: Some(node().id),
        node_name: Some("a".into()),
        exit_ip: None,
        country: None,
        since: 1,
        up: 1,
        down: 2,
        up_rate: None,
        down_rate: Some(3),
    }
}

pub(super) fn node() -> NodeDto {
    NodeDto {
        id: "00".repeat(16),
        name: "a".into(),
        state: "healthy".into(),
        scheme: "ss".into(),
        server: "192.0.2.1".into(),
        port: 8388,
        transport: "tcp".into(),
        security: "none".into(),
        carries: None,
        anonymity: None,
        insecure: false,
        latency_ms: Some(12),
        throughput_bytes_per_second: None,
        failures: 0,
        in_flight: 1,
        last_ok: Some(1),
        last_checked: Some(1),
        next_check: Some(2),
        last_error: None,
        exit_ip: None,
        country: None,
        asn: Some(13_335),
        city: Some("Berlin".into()),
        engine: Some("native".into()),
        sources: vec!["mine".into()],
        unsupported: None,
        quarantine: None,
        success_rate: Some(1.0),
        up: 1,
        down: 2,
        first_seen: 1,
        disabled: false,
        pinned: false,
        tags: Vec::new(),
        note: String::new(),
    }
}

fn exit() -> ExitDto {
    ExitDto {
        ip: "203.0.113.7".into(),
        country: None,
        asn: Some(64_500),
        network: "203.0.113.0/24".into(),
        nodes: 2,
        healthy: 1,
        latency_ms: Some(3),
    }
}

pub(super) fn session() -> SessionDto {
    SessionDto {
        id: "0123456789abcdef".into(),
        listener: "proxy".into(),
        user: "alice".into(),
        session: "a1".into(),
        country: None,
        node: None,
        exit_ip: None,
        began: 1,
        ends: 2,
    }
}

#[async_trait]
impl NodesPort for Fake {
    fn nodes(&self, query: &NodesQuery) -> Result<NodesPage, ApiError> {
        if query.state.as_deref() == Some("odd") {
            return Err(ApiError::BadRequest("state is one of new, healthy, suspect, dead".into()));
        }
        Ok(NodesPage { total: 1, offset: query.offset.unwrap_or(0), nodes: vec![node()], next: None })
    }

    fn node(&self, id: &str) -> Result<Option<NodeDto>, ApiError> {
        Ok((id == node().id).then(node))
    }

    fn link(&self, id: &str) -> Result<Option<LinkDto>, ApiError> {
        Ok((id == node().id).then(|| LinkDto { link: "ss://a".into() }))
    }

    async fn add(&self, text: Bytes, query: &AddQuery) -> Result<Saved<AddReport>, ApiError> {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        let report = AddReport { added: if query.allow_private { 0 } else { lines }, ..AddReport::default() };
        Ok(Saved { done: report, stored: !text.starts_with(b"behind") })
    }

    async fn probe(&self, request: &ProbeRequest) -> Result<ProbeReport, ApiError> {
        let pending = usize::from(request.wait == Some(0));
        Ok(ProbeReport { asked: 1, pending, ..ProbeReport::default() })
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<Saved<RemoveReport>, ApiError> {
        let removed = request.ids.iter().filter(|id| **id == node().id).count();
        Ok(Saved {
            done: RemoveReport { removed, missing: request.ids.len() - removed, banned: usize::from(request.ban) },
            stored: true,
        })
    }

    fn rotate_node(&self, id: &str) -> Result<Option<RotateReport>, ApiError> {
        let report = || RotateReport { node: node().id, replacement: node().id };
        Ok((id == node().id).then(report))
    }

    async fn mark(&self, request: MarkRequest) -> Result<Saved<MarkReport>, ApiError> {
        let matched = request.ids.iter().filter(|id| **id == node().id).count();
        let missing = request.ids.len() - matched;
        Ok(Saved { done: MarkReport { matched, changed: matched, missing }, stored: true })
    }

    fn site_evidence(&self, id: &str, site: &str) -> Result<Option<SiteEvidenceDto>, ApiError> {
        let evidence = SiteEvidenceDto { site: site.into(), avoided: false, level: 0, until: None };
        Ok((id == node().id).then_some(evidence))
    }

    fn exits(&self, _: &ExitsQuery) -> Result<ExitsPage, ApiError> {
        Ok(ExitsPage { total: 1, items: vec![exit()], next: None })
    }

    fn exit(&self, ip: &str) -> Result<Option<ExitDto>, ApiError> {
        Ok((ip == exit().ip).then(exit))
    }

    fn bans(&self) -> Vec<BanDto> {
        vec![BanDto { id: node().id, name: "a".into(), since: 1 }]
    }

    async fn lift(&self, ids: &[String]) -> Result<Saved<LiftReport>, ApiError> {
        let lifted = ids.iter().filter(|id| **id == node().id).count();
        Ok(Saved { done: LiftReport { lifted, missing: ids.len() - lifted }, stored: true })
    }
}

#[async_trait]
impl SessionsPort for Fake {
    fn sessions(&self, query: &SessionsQuery) -> Vec<SessionDto> {
        let fits = query.session.as_ref().is_none_or(|asked| *asked == session().session);
        if fits { vec![session()] } else { Vec::new() }
    }

    async fn rotate(&self, id: &str) -> Result<Option<Saved<SessionDto>>, ApiError> {
        Ok((id == session().id).then(|| Saved { done: session(), stored: true }))
    }

    async fn end_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError> {
        Ok((id == session().id).then_some(Saved { done: EndReport { ended: true }, stored: true }))
    }

    fn proxy_address(&self, query: &ProxyQuery, host: &str) -> Result<ProxyDto, ApiError> {
        Ok(ProxyDto {
            url: format!("http://{host}:8000"),
            scheme: "http".into(),
            host: host.into(),
            port: 8000,
            username: query.user.clone().unwrap_or_default(),
            password_needed: false,
            fitting: 1,
        })
    }

    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError> {
        let node = request.node.clone().ok_or(ApiError::NotFound)?;
        Ok(FeedbackReport { node, site: request.site.clone() })
    }
}

#[async_trait]
impl LivePort for Fake {
    async fn test(&self, request: &TestRequest) -> Result<TestReport, ApiError> {
        let url = request.url.clone().ok_or_else(|| ApiError::BadRequest("no url".into()))?;
        Ok(TestReport { works: true, url, status: Some(200), ..TestReport::default() })
    }

    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError> {
        Ok(ExplainDto {
            listener: "proxy".into(),
            user: query.user.clone().unwrap_or_default(),
            strategy: "smart".into(),
            country: None,
            session: None,
            site: query.host.clone(),
            nodes: 1,
            fitting: 1,
            exits: 1,
            pinned: None,
            pinned_fits: None,
            candidates: vec![CandidateDto { node: node(), score: 1.5 }],
            excluded: Vec::new(),
        })
    }

    fn health(&self) -> HealthDto {
        HealthDto { serving: true }
    }

    fn ready(&self) -> ReadyDto {
        ReadyDto { ready: false, reason: Some("no node works".into()) }
    }

    fn status(&self) -> StatusDto {
        StatusDto {
            listeners: vec![ListenerStatusDto {
                name: "proxy".into(),
                address: "127.0.0.1:8000".into(),
                ports: Some("24000-24099".into()),
                tls: true,
            }],
            certificates: vec![CertificateDto {
                port: "proxy".into(),
                origin: "files".into(),
                names: vec!["proxy.example.org".into()],
                issuer: Some("CN=a".into()),
                not_after: Some(1),
                fingerprint: Some("00".into()),
                error: Some("it has ended".into()),
            }],
            version: "0".into(),
            uptime_s: 1,
            proxy: "127.0.0.1:8000".into(),
            reason: None,
            nodes: StateCounts { healthy: 1, ..StateCounts::default() },
            exits: 1,
            schemes: BTreeMap::new(),
            sources: Vec::new(),
            traffic: TrafficDto::default(),
            troubles: Vec::new(),
            store: StoreDto::default(),
            config: ConfigStatusDto::default(),
            alerts: vec!["phone/disk: full".into()],
            engine: None,
            draining: vec![DrainingDto { pid: 7, connections: 3, since: 1 }],
        }
    }

    fn traffic(&self) -> TrafficDto {
        TrafficDto::default()
    }

    fn connections(&self, query: &ConnectionsQuery) -> Result<ConnectionsPage, ApiError> {
        let after: u64 = query.cursor.as_deref().map(read_cursor).transpose()?.unwrap_or(0);
        let alive = self.alive.lock();
        let items: Vec<_> =
            alive.range(after + 1..).take(query.limit.unwrap_or(100)).map(|id| connection(*id)).collect();
        let last = items.last().filter(|last| alive.range(last.id + 1..).next().is_some());
        let next = last.map(|last| write_cursor(&last.id)).transpose()?;
        Ok(ConnectionsPage { total: alive.len(), items, next })
    }

    fn end_connection(&self, id: u64) -> bool {
        self.alive.lock().remove(&id)
    }

    fn end_connections(&self, filter: &ConnectionsFilter) -> Result<ConnectionsEnded, ApiError> {
        let fits = filter.user.as_deref().is_none_or(|user| user == "alice");
        let ended = if fits { std::mem::take(&mut *self.alive.lock()).len() } else { 0 };
        Ok(ConnectionsEnded { ended })
    }

    fn log(&self, query: &LogQuery) -> Result<LogPage, ApiError> {
        let last = *self.logged.borrow();
        let line = |number| LogLineDto {
            number,
            at: 1,
            level: "info".into(),
            target: "hezar".into(),
            message: "started".into(),
            fields: vec!["a=1".into()],
        };
        Ok(LogPage { items: (query.after.unwrap_or(0) + 1..=last).map(line).collect(), last })
    }

    fn log_changes(&self) -> watch::Receiver<u64> {
        self.logged.subscribe()
    }

    fn events(&self) -> &EventHub {
        &self.hub
    }

    fn jobs(&self) -> &JobTable {
        &self.jobs
    }

    fn codes(&self) -> Vec<CodeDto> {
        vec![CodeDto {
            code: "api-not-found".into(),
            area: "The API".into(),
            meaning: "It is not there.".into(),
            advice: "Look at the list.".into(),
        }]
    }

    fn version(&self) -> VersionDto {
        VersionDto { version: "0".into(), commit: None, platform: "x".into(), api: "v1".into() }
    }

    fn instances(&self) -> Vec<InstanceDto> {
        vec![InstanceDto {
            id: "1".into(),
            name: "one".into(),
            state: "living".into(),
            pid: 1,
            seen: 2,
            own: true,
            ..InstanceDto::default()
        }]
    }

    async fn drain(&self, name: &str, draining: bool) -> Result<DrainReport, ApiError> {
        let report = DrainReport { name: name.to_owned(), draining };
        (name == "one").then_some(report).ok_or(ApiError::NotFound)
    }

    fn metrics(&self) -> String {
        self.metrics_made.fetch_add(1, Ordering::Relaxed);
        "# EOF\n".into()
    }

    fn node_metrics(&self) -> String {
        "hezar_node_up{node=\"ab\"} 1\n# EOF\n".into()
    }
}

impl CoresPort for Fake {
    fn cores(&self) -> CoresDto {
        let core = CoreDto {
            name: "mihomo".into(),
            program: "/usr/bin/mihomo".into(),
            version: Some("v1.19.32".into()),
            state: "up".into(),
            starts: 1,
            nodes: 3,
            most_nodes: 5000,
            ..CoreDto::default()
        };
        let missing = MissingCoreDto { name: "xray".into(), nodes: 7, advice: "install it".into() };
        let refused = RefusedNodeDto { core: "mihomo".into(), node: "ab".repeat(16), reason: "no such cipher".into() };
        CoresDto { cores: vec![core], missing: vec![missing], refused: vec![refused] }
    }
}

#[async_trait]
impl AlertsPort for Fake {
    fn alerts(&self) -> Vec<AlertDto> {
        let trouble = AlertTroubleDto {
            condition: "disk".into(),
            state: "firing".into(),
            since: Some(1),
            text: Some("full".into()),
        };
        vec![AlertDto {
            name: "phone".into(),
            enabled: true,
            receiver: "ntfy".into(),
            via: "pool".into(),
            troubles: vec![trouble],
            last_message: None,
            last_error: None,
        }]
    }

    async fn test_alert(&self, name: &str) -> Option<AlertTestReport> {
        (name == "phone").then(|| AlertTestReport { sent: false, error: Some("timeout".into()) })
    }
}

#[async_trait]
impl UsagePort for Fake {
    async fn usage(&self, query: &UsageParameters) -> Result<ListDto<UsageDayDto>, ApiError> {
        if query.from.as_deref() == Some("odd") {
            return Err(ApiError::BadRequest("a date is written as 2027-01-31".into()));
        }
        let day = UsageDayDto { user: "alice".into(), day: "2027-01-31".into(), up: 1, down: 2 };
        Ok(ListDto { items: vec![day], next: None })
    }

    fn usage_of_user(&self, name: &str) -> Option<UserUsageDto> {
        let bytes = BytesDto { up: 1, down: 2 };
        let user = name.to_owned();
        (name == "alice").then_some(UserUsageDto { user, today: bytes, month: bytes, total: bytes })
    }
}

#[async_trait]
impl SettingsPort for Fake {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, ApiError> {
        let pending = usize::from(request.wait == Some(0));
        Ok(FetchReport { asked: request.sources.len(), pending, ..FetchReport::default() })
    }

    async fn reload(&self) -> Result<ReloadReport, ApiError> {
        Ok(ReloadReport { changed: vec!["proxy.attempts".into()], restart: Vec::new() })
    }
}

fn source_object() -> ObjectDto {
    ObjectDto {
        name: "mine".into(),
        origin: "store".into(),
        line: None,
        changed: Some(1),
        problem: None,
        value: serde_json::json!({ "name": "mine", "url": "https://a.test/hidden" }),
        address: None,
        status: None,
        token: None,
    }
}

#[async_trait]
impl FeedPort for Fake {
    fn feed(&self, query: &FeedQuery) -> (FeedHeadDto, Vec<FeedNodeDto>) {
        let head =
            FeedHeadDto { instance: "ab".into(), cursor: "ab-2".into(), whole: query.after.is_none(), from_reader: 0 };
        let node = |id: &str| FeedNodeDto { id: id.into(), ..FeedNodeDto::default() };
        let works = FeedNodeDto { link: Some("socks5://192.0.2.1:1080".into()), age_ms: Some(7), ..node("aa") };
        (head, vec![works, node("bb")])
    }

    async fn feed_changed(&self, after: Option<&str>, wait: Duration) -> bool {
        after != Some("ab-2") || wait.is_zero()
    }
}

#[async_trait]
impl ObjectsPort for Fake {
    fn caller(&self, token: &str) -> Option<Caller> {
        let scope = Scope::ALL.into_iter().find(|scope| token == format!("hz_{}", scope.name()))?;
        Some(Caller { name: scope.name().into(), scope })
    }

    fn schemas(&self) -> serde_json::Map<String, serde_json::Value> {
        [("source".to_owned(), serde_json::json!({ "type": "object" }))].into_iter().collect()
    }

    fn objects(&self, _: ObjectType, _: &ObjectsQuery) -> Result<ListDto<ObjectDto>, ApiError> {
        Ok(ListDto { items: vec![source_object()], next: None })
    }

    fn object(&self, _: ObjectType, name: &str) -> Option<ObjectDto> {
        (name == "mine").then(source_object)
    }

    async fn change_object(
        &self,
        by: &ChangedBy,
        _: ObjectType,
        name: &str,
        change: ObjectChange,
    ) -> Result<ChangeReport, ApiError> {
        match (name, change) {
            ("taken", _) => Err(ApiError::Conflict("it is there already".into())),
            ("unstored", _) => Err(ApiError::NotStored("the disk is full".into())),
            ("mine", _) => Ok(ChangeReport { changed: vec![format!("{} via {}", by.who, by.via)] }),
            _ => Err(ApiError::NotFound),
        }
    }

    fn settings(&self) -> Vec<SettingDto> {
        vec![SettingDto {
            key: "probe.interval".into(),
            about: "The pause.".into(),
            expected: "a duration".into(),
            choices: Vec::new(),
            types: vec!["string".into()],
            default: Some("5s".into()),
            value: None,
            origin: "default".into(),
            line: None,
            variable: None,
            changeable: true,
        }]
    }

    async fn change_settings(
        &self,
        _: &ChangedBy,
        values: serde_json::Map<String, serde_json::Value>,
    ) -> Result<ChangeReport, ApiError> {
        Ok(ChangeReport { changed: values.keys().cloned().collect() })
    }

    async fn preview(&self, request: PreviewRequest) -> Result<PreviewReport, ApiError> {
        let text = request.text.ok_or_else(|| ApiError::BadRequest("a text or a source".into()))?;
        Ok(PreviewReport { nodes: text.lines().count(), ..PreviewReport::default() })
    }

    async fn test_source(&self, name: &str) -> Result<PreviewReport, ApiError> {
        self.object(ObjectType::Source, name).map(|_| PreviewReport::default()).ok_or(ApiError::NotFound)
    }

    fn tokens(&self) -> Vec<TokenDto> {
        vec![TokenDto { name: "a".into(), scope: "read".into(), created: 1, last_used: None }]
    }

    async fn create_token(&self, _: &ChangedBy, request: &TokenRequest) -> Result<NewTokenDto, ApiError> {
        let TokenRequest { name, scope } = request.clone();
        Ok(NewTokenDto { name, scope, token: "hz_read".into() })
    }

    async fn revoke_token(&self, _: &ChangedBy, name: &str) -> Result<bool, ApiError> {
        Ok(name == "a")
    }

    async fn audit(&self, _: &AuditParameters) -> Result<ListDto<AuditDto>, ApiError> {
        let line = AuditDto {
            id: 1,
            at: 1,
            who: "token".into(),
            via: "cli".into(),
            action: "create".into(),
            kind: "source".into(),
            name: "mine".into(),
            old: None,
            new: Some(serde_json::json!({ "url": "https://a.test/hidden" })),
        };
        Ok(ListDto { items: vec![line], next: None })
    }
}
