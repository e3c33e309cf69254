//! Delay tests: probes that dashboards ask for, within the limits of the prober.
//!
//! A node is asked for the address of the settings (`probe.url`), whichever address the dashboard names: only so does the
//! result say what the pool needs to know, and no dashboard makes Hezar ask for an address of its choice.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{http::StatusCode, response::Response};
use hezar_core::{NodeId, Timestamp};
use serde_json::json;
use tokio::time::timeout;
use url::{Url, form_urlencoded};

use super::{
    ClashState, proxy,
    reply::{self, ClashError},
    view::{NodeView, PoolView},
};
use crate::{ApiError, ProbeReport, ProbeRequest};

/// The longest test.
const LONGEST: Duration = Duration::from_secs(10);
/// A node that was tested in this time is not tested again: some dashboards test every node of every group.
const FRESH: Duration = Duration::from_secs(10);

/// The largest timeout that a path takes, in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct MaxTimeout(u64);

impl MaxTimeout {
    pub(super) const SIXTEEN_BITS: Self = Self(i16::MAX as u64);
    pub(super) const THIRTY_TWO_BITS: Self = Self(i32::MAX as u64);
}

/// The parameters of a test.
#[derive(Clone, Copy)]
pub(super) struct DelayQuery {
    timeout: Duration,
}

impl DelayQuery {
    /// Reads `url` and `timeout`, which are both needed.
    pub(super) fn read(query: Option<&str>, max: MaxTimeout) -> Result<Self, ClashError> {
        let (mut url, mut millis) = (None, None);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "url" => url = Url::parse(&value).ok().filter(|url| matches!(url.scheme(), "http" | "https")),
                "timeout" => millis = value.parse::<u64>().ok().filter(|millis| *millis <= max.0),
                _ => {}
            }
        }
        match (url, millis) {
            (Some(_), Some(millis)) => Ok(Self { timeout: Duration::from_millis(millis).min(LONGEST) }),
            _ => Err(ClashError::body_invalid()),
        }
    }
}

/// Tests one node.
pub(super) async fn test_one(
    state: &ClashState,
    view: &PoolView,
    id: NodeId,
    query: DelayQuery,
) -> Result<Response, ClashError> {
    let delay = match view.by_id(id).and_then(fresh) {
        Some(known) => known,
        None => {
            let report = timeout(query.timeout, probe(state, &[id])).await.map_err(|_| ClashError::timeout())??;
            let probed = report.nodes.first().ok_or_else(ClashError::timeout)?;
            state.views.expire().await;
            probed.latency_ms.map(|millis| proxy::millis(Duration::from_millis(millis)))
        }
    };
    delay.map(|delay| reply::json(&json!({ "delay": delay }))).ok_or_else(ClashError::delay_failed)
}

/// Tests many nodes, and names those that answered.
pub(super) async fn test_many(
    state: &ClashState,
    view: &PoolView,
    ids: &[NodeId],
    query: DelayQuery,
) -> Result<Response, ClashError> {
    let mut delays = BTreeMap::new();
    let mut due = Vec::new();
    for node in ids.iter().filter_map(|id| view.by_id(*id)) {
        match fresh(node) {
            Some(delay) => delays.extend(delay.map(|delay| (node.name.clone(), delay))),
            None => due.push(node.node.id),
        }
    }
    if !due.is_empty() {
        // Whole seconds: what has come by then is answered.
        let wait = query.timeout.as_secs().max(1);
        let request = ProbeRequest { ids: texts(&due), wait: Some(wait), ..ProbeRequest::default() };
        for probed in state.api.control.probe(&request).await?.nodes {
            let name = probed.id.parse().ok().and_then(|id| view.by_id(id)).map(|node| node.name.clone());
            delays.extend(name.zip(probed.latency_ms.map(|millis| proxy::millis(Duration::from_millis(millis)))));
        }
        state.views.expire().await;
    }
    if delays.is_empty() {
        return Err(ClashError(StatusCode::GATEWAY_TIMEOUT, "get delay: all proxies timeout".to_owned()));
    }
    Ok(reply::json(&delays))
}

async fn probe(state: &ClashState, ids: &[NodeId]) -> Result<ProbeReport, ApiError> {
    let request = ProbeRequest { ids: texts(ids), wait: Some(LONGEST.as_secs()), ..ProbeRequest::default() };
    state.api.control.probe(&request).await
}

fn texts(ids: &[NodeId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// What a recent test of a node has shown: `Some(None)` = it failed.
fn fresh(node: &NodeView) -> Option<Option<u16>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let last = node.node.tests.last()?;
    let age = Timestamp(u64::try_from(now).unwrap_or(u64::MAX)).since(last.at);
    (age < FRESH).then(|| last.latency.map(proxy::millis))
}
