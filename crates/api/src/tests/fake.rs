//! An instance that answers without one behind it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use hyper::body::Bytes;

use crate::*;

/// Counts how often the metrics are made.
#[derive(Default)]
pub(super) struct Fake(pub(super) AtomicUsize);

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
        failures: 0,
        in_flight: 1,
        last_ok: Some(1),
        last_checked: Some(1),
        next_check: Some(2),
        last_error: None,
        exit_ip: None,
        country: None,
        sources: vec!["mine".into()],
        unsupported: None,
        quarantine: None,
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
        Ok(NodesPage { total: 1, offset: query.offset.unwrap_or(0), nodes: vec![node()] })
    }

    fn node(&self, id: &str) -> Result<Option<NodeDto>, ApiError> {
        Ok((id == node().id).then(node))
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

    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError> {
        let node = request.node.clone().ok_or(ApiError::NotFound)?;
        Ok(FeedbackReport { node, site: request.site.clone() })
    }
}

impl LivePort for Fake {
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

    fn status(&self) -> StatusDto {
        StatusDto {
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
        }
    }

    fn metrics(&self) -> String {
        self.0.fetch_add(1, Ordering::Relaxed);
        "# EOF\n".into()
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
