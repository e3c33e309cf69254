//! `/providers`: the sources, with the nodes that each of them lists first.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, put},
};
use serde_json::json;

use super::{
    ClashState,
    delay::{self, DelayQuery, MaxTimeout},
    proxy,
    reply::{self, ClashError},
    view::{NodeView, PoolView},
    view_path::Shown,
};
use crate::{FetchRequest, ProbeRequest};

/// How long a dashboard waits until a source has been read.
const FETCH_WAIT: u64 = 30;

pub(super) fn routes() -> Router<ClashState> {
    Router::new()
        .route("/providers/proxies", get(providers))
        .route("/providers/proxies/{provider}", get(provider).put(fetch))
        .route("/providers/proxies/{provider}/healthcheck", get(check))
        .route("/providers/proxies/{provider}/{node}", get(node))
        .route("/providers/proxies/{provider}/{node}/healthcheck", get(check_node))
        .route("/providers/rules", get(async || reply::json(&json!({ "providers": {} }))))
        .route("/providers/rules/{name}", put(async || ClashError::not_found()))
}

async fn providers(Shown(view): Shown, headers: HeaderMap) -> Response {
    view.answers.providers.response(&headers)
}

async fn provider(Shown(view): Shown, Path(name): Path<String>) -> Result<Response, ClashError> {
    let found = view.provider(&name).ok_or_else(ClashError::not_found)?;
    Ok(reply::json(&proxy::provider(&view, found)))
}

/// Reads a source now.
async fn fetch(
    State(state): State<ClashState>,
    Shown(view): Shown,
    Path(name): Path<String>,
) -> Result<StatusCode, ClashError> {
    let source = source_of(&view, &name)?;
    let request = FetchRequest { sources: vec![source], wait: Some(FETCH_WAIT) };
    let report = state.api.control.fetch(&request).await?;
    state.views.clear().await;
    match report.sources.into_iter().find_map(|read| read.message.or(read.error)) {
        Some(message) => Err(ClashError(StatusCode::SERVICE_UNAVAILABLE, message)),
        None => Ok(StatusCode::NO_CONTENT),
    }
}

/// Makes every node of a source due, and does not wait: dashboards give up after a few seconds.
async fn check(
    State(state): State<ClashState>,
    Shown(view): Shown,
    Path(name): Path<String>,
) -> Result<StatusCode, ClashError> {
    let source = source_of(&view, &name)?;
    let request = ProbeRequest { source: Some(source), wait: Some(0), ..ProbeRequest::default() };
    state.api.control.probe(&request).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn node(Shown(view): Shown, Path(path): Path<(String, String)>) -> Result<Response, ClashError> {
    Ok(reply::json(&proxy::node(&view, node_of(&view, &path)?)))
}

async fn check_node(
    State(state): State<ClashState>,
    Shown(view): Shown,
    Path(path): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, ClashError> {
    let query = DelayQuery::read(query.as_deref(), MaxTimeout::SIXTEEN_BITS)?;
    let id = node_of(&view, &path)?.node.id;
    delay::test_one(&state, &view, id, query).await
}

/// The source behind a provider.
fn source_of(view: &PoolView, provider: &str) -> Result<String, ClashError> {
    let source = view.provider(provider).and_then(|provider| provider.source.as_ref());
    source.map(|source| source.name.clone()).ok_or_else(ClashError::not_found)
}

fn node_of<'a>(view: &'a PoolView, (provider, node): &(String, String)) -> Result<&'a NodeView, ClashError> {
    let found = view.node(node).filter(|_| view.provider(provider).is_some());
    found.ok_or_else(ClashError::not_found)
}
