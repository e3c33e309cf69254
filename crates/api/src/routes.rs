//! The paths of the API.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, Request, State, rejection::QueryRejection},
    http::header,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde_json::json;

use crate::{
    AddReport, ApiError, Control, EndReport, ExplainDto, ExplainQuery, FeedbackReport, NodeDto, NodesPage, NodesQuery,
    RemoveReport, RemoveRequest, Saved, SessionDto, StatusDto, guard::Guard,
};

/// The most bytes of links in one request.
const MAX_BODY: usize = 32 << 20;

#[derive(Clone)]
struct Door {
    control: Arc<dyn Control>,
    guard: Arc<Guard>,
}

pub(crate) fn router(control: Arc<dyn Control>, guard: Guard) -> Router {
    let door = Door { control, guard: Arc::new(guard) };
    let guarded = Router::new()
        .route("/nodes", get(nodes).post(add).delete(remove))
        .route("/nodes/{id}", get(node).delete(remove_one))
        .route("/status", get(status))
        .route("/sessions", get(sessions))
        .route("/sessions/{id}", delete(end_session))
        .route("/sessions/{id}/rotate", post(rotate))
        .route("/feedback", post(feedback))
        .route("/explain", get(explain))
        .route_layer(middleware::from_fn_with_state(door.clone(), need_token));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .nest("/api/v1", guarded)
        .fallback(async || ApiError::NotFound)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(door.clone(), need_host))
        .with_state(door)
}

async fn need_host(State(door): State<Door>, request: Request, next: Next) -> Response {
    match door.guard.check_host(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn need_token(State(door): State<Door>, request: Request, next: Next) -> Response {
    match door.guard.check_token(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn healthz(State(door): State<Door>) -> Response {
    let nodes = door.control.status().nodes;
    Json(json!({ "status": "ok", "serving": nodes.healthy + nodes.suspect > 0 })).into_response()
}

async fn metrics(State(door): State<Door>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], door.control.metrics()).into_response()
}

async fn status(State(door): State<Door>) -> Json<StatusDto> {
    Json(door.control.status())
}

async fn nodes(
    State(door): State<Door>,
    query: Result<Query<NodesQuery>, QueryRejection>,
) -> Result<Json<NodesPage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    door.control.nodes(&query).map(Json)
}

async fn node(State(door): State<Door>, Path(id): Path<String>) -> Result<Json<NodeDto>, ApiError> {
    door.control.node(&id)?.map(Json).ok_or(ApiError::NotFound)
}

async fn add(State(door): State<Door>, body: String) -> Result<Saved<AddReport>, ApiError> {
    door.control.add(&body).await
}

async fn remove(State(door): State<Door>, body: String) -> Result<Saved<RemoveReport>, ApiError> {
    let request: RemoveRequest =
        serde_json::from_str(&body).map_err(|error| ApiError::BadRequest(error.to_string()))?;
    door.control.remove(&request).await
}

async fn remove_one(State(door): State<Door>, Path(id): Path<String>) -> Result<Saved<RemoveReport>, ApiError> {
    let report = door.control.remove(&RemoveRequest { ids: vec![id] }).await?;
    if report.done.removed == 0 { Err(ApiError::NotFound) } else { Ok(report) }
}

async fn sessions(State(door): State<Door>) -> Json<Vec<SessionDto>> {
    Json(door.control.sessions())
}

async fn rotate(State(door): State<Door>, Path(id): Path<String>) -> Result<Saved<SessionDto>, ApiError> {
    door.control.rotate(&id).await?.ok_or(ApiError::NotFound)
}

async fn end_session(State(door): State<Door>, Path(id): Path<String>) -> Result<Saved<EndReport>, ApiError> {
    door.control.end_session(&id).await?.ok_or(ApiError::NotFound)
}

async fn feedback(State(door): State<Door>, body: String) -> Result<Json<FeedbackReport>, ApiError> {
    let request = serde_json::from_str(&body).map_err(|error| ApiError::BadRequest(error.to_string()))?;
    door.control.feedback(&request).map(Json)
}

async fn explain(
    State(door): State<Door>,
    query: Result<Query<ExplainQuery>, QueryRejection>,
) -> Result<Json<ExplainDto>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    door.control.explain(&query).map(Json)
}
