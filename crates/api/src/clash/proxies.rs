//! `/proxies` and `/group`: groups and nodes, what is selected, and tests.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use hezar_core::NodeId;
use serde::Deserialize;

use super::{
    ClashState,
    delay::{DelayQuery, MaxTimeout},
    names::{AUTO, GLOBAL, POOL},
    proxy,
    reply::{ClashError, json},
    view::{GroupView, PoolView},
    view_path::Shown,
};
use crate::body::WholeBody;

/// The most nodes of a group that are tested at once.
const MOST_TESTED: usize = 200;

pub(super) fn routes() -> Router<ClashState> {
    Router::new()
        .route("/proxies", get(proxies))
        .route("/proxies/{name}", get(proxy_of_name).put(select).delete(clear))
        .route("/proxies/{name}/delay", get(delay_of_one))
        .route("/group", get(groups))
        .route("/group/{name}", get(group_of_name))
        .route("/group/{name}/delay", get(delay_of_group))
}

async fn proxies(Shown(view): Shown, headers: HeaderMap) -> Response {
    view.answers.proxies.response(&headers)
}

async fn groups(Shown(view): Shown, headers: HeaderMap) -> Response {
    view.answers.groups.response(&headers)
}

async fn proxy_of_name(Shown(view): Shown, Path(name): Path<String>) -> Result<Response, ClashError> {
    if let Some(group) = view.group(&name) {
        return Ok(json(&proxy::group(&view, group)));
    }
    view.node(&name).map(|node| json(&proxy::node(&view, node))).ok_or_else(ClashError::not_found)
}

async fn group_of_name(Shown(view): Shown, Path(name): Path<String>) -> Result<Response, ClashError> {
    view.group(&name).map(|group| json(&proxy::group(&view, group))).ok_or_else(ClashError::not_found)
}

/// The body of a selection.
#[derive(Deserialize)]
struct SelectRequest {
    name: String,
}

async fn select(
    State(state): State<ClashState>,
    Shown(view): Shown,
    Path(name): Path<String>,
    WholeBody(body): WholeBody,
) -> Result<StatusCode, ClashError> {
    let SelectRequest { name: member } = serde_json::from_slice(&body).map_err(|_| ClashError::body_invalid())?;
    let Some(group) = view.group(&name) else {
        let is_node = view.node(&name).is_some();
        return Err(if is_node { not_a_selector() } else { ClashError::not_found() });
    };
    let unknown = || ClashError::bad_request("Selector update error: proxy not exist");
    match &group.group {
        None if group.name == GLOBAL && member == POOL => Ok(StatusCode::NO_CONTENT),
        None if group.name == GLOBAL => Err(ClashError::bad_request("requests always leave through POOL")),
        None => Err(not_a_selector()),
        Some(of) => {
            let member = view.member(of, &member).map_err(|()| unknown())?;
            state.api.control.select(of.clone(), member).await?;
            state.views.clear().await;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

fn not_a_selector() -> ClashError {
    ClashError::bad_request("Must be a Selector")
}

/// Selects the whole group again.
async fn clear(
    State(state): State<ClashState>,
    Shown(view): Shown,
    Path(name): Path<String>,
) -> Result<StatusCode, ClashError> {
    let Some(group) = view.group(&name) else { return Err(ClashError::not_found()) };
    let Some(of) = &group.group else { return Err(not_a_selector()) };
    state.api.control.select(of.clone(), None).await?;
    state.views.clear().await;
    Ok(StatusCode::NO_CONTENT)
}

async fn delay_of_one(
    State(state): State<ClashState>,
    Shown(view): Shown,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ClashError> {
    let query = DelayQuery::read(query.as_deref(), MaxTimeout::SIXTEEN_BITS)?;
    let id = match view.group(&name) {
        Some(group) => next_of(&view, group).ok_or_else(ClashError::delay_failed)?,
        None => view.node(&name).ok_or_else(ClashError::not_found)?.node.id,
    };
    super::delay::test_one(&state, &view, id, query).await
}

/// The node that would serve a request of this group next.
fn next_of(view: &PoolView, group: &GroupView) -> Option<NodeId> {
    let selected = group.now.as_deref().filter(|now| *now != AUTO);
    if let Some(node) = selected.and_then(|now| view.node(now)) {
        return Some(node.node.id);
    }
    let part = selected.and_then(|now| view.group(now)).unwrap_or(group);
    let mut nodes = part.members.iter().filter_map(|name| view.node(name));
    nodes.find(|node| node.node.alive).map(|node| node.node.id)
}

async fn delay_of_group(
    State(state): State<ClashState>,
    Shown(view): Shown,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ClashError> {
    let query = DelayQuery::read(query.as_deref(), MaxTimeout::THIRTY_TWO_BITS)?;
    let group = view.group(&name).ok_or_else(ClashError::not_found)?;
    let nodes = group.members.iter().filter_map(|name| view.node(name)).take(MOST_TESTED);
    let ids: Vec<NodeId> = nodes.map(|node| node.node.id).collect();
    super::delay::test_many(&state, &view, &ids, query).await
}
