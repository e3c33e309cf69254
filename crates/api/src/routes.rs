//! The paths of the API.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    AddQuery, AddReport, ApiError, BanDto, Control, EndReport, ExplainDto, ExplainQuery, FeedbackReport, FetchRequest,
    LiftReport, LiftRequest, NodeDto, NodesPage, NodesQuery, ProbeRequest, ReloadReport, RemoveReport, RemoveRequest,
    Saved, SessionDto, SessionsQuery, StatusDto, body::WholeBody, guard::Guard, page::MetricsPage,
};

/// Answers that walk over all nodes and are made at a time; each takes a core.
const HEAVY: usize = 2;

#[derive(Clone)]
struct Door {
    control: Arc<dyn Control>,
    guard: Arc<Guard>,
    metrics: Arc<MetricsPage>,
    heavy: Arc<Semaphore>,
}

type Parameters<T> = Result<Query<T>, QueryRejection>;
type Segment = Result<Path<String>, PathRejection>;

/// Of a request that takes no parameters: one that is given anyway is a mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

pub(crate) fn router(control: Arc<dyn Control>, guard: Guard) -> Router {
    let heavy = Arc::new(Semaphore::new(HEAVY));
    let door = Door { control, guard: Arc::new(guard), metrics: Arc::default(), heavy };
    let guarded = Router::new()
        .route("/nodes", get(nodes).post(add).delete(remove))
        .route("/nodes/{id}", get(node).delete(remove_one))
        .route("/probe", post(probe))
        .route("/fetch", post(fetch))
        .route("/reload", post(reload))
        .route("/bans", get(bans).post(ban).delete(lift))
        .route("/bans/{id}", delete(lift_one))
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
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(middleware::from_fn_with_state(door.clone(), need_host))
        .with_state(door)
}

impl Door {
    /// Makes an answer that takes long, off the threads that carry traffic and a few at a time.
    async fn off_thread<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&dyn Control) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.heavy).acquire_owned().await.map_err(|_| ApiError::Unavailable)?;
        let control = Arc::clone(&self.control);
        let made = spawn_blocking(move || {
            // The work goes on when its client hangs up, and so does its place.
            let _permit = permit;
            answer(&*control)
        });
        made.await.map_err(|_| ApiError::Internal)
    }
}

/// Reads the parameters in a request's path; what is not known is refused.
fn parameters<T>(given: Parameters<T>) -> Result<T, ApiError> {
    given.map(|Query(read)| read).map_err(|error| {
        let text = error.body_text();
        ApiError::BadRequest(format!(
            "the query: {}",
            text.rsplit_once("query string: ").map_or(&*text, |(_, what)| what)
        ))
    })
}

fn segment(given: Segment) -> Result<String, ApiError> {
    given.map(|Path(read)| read).map_err(|error| ApiError::BadRequest(error.body_text()))
}

/// Reads a body of JSON; an empty one says nothing.
fn json_body<T: DeserializeOwned>(WholeBody(body): &WholeBody) -> Result<T, ApiError> {
    let text: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { body };
    // An array would be read as the fields of an object in their order, and an empty one as every default.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::BadRequest("the body is not a JSON object".to_owned()));
    }
    serde_json::from_slice(text).map_err(|error| ApiError::BadRequest(error.to_string()))
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
    Json(json!({ "status": "ok", "serving": door.control.health().serving })).into_response()
}

async fn metrics(State(door): State<Door>) -> Result<Response, ApiError> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], door.metrics.get(&door.control).await?).into_response())
}

async fn status(State(door): State<Door>, query: Parameters<NoParameters>) -> Result<Json<StatusDto>, ApiError> {
    parameters(query)?;
    door.off_thread(|control| control.status()).await.map(Json)
}

async fn nodes(State(door): State<Door>, query: Parameters<NodesQuery>) -> Result<Json<NodesPage>, ApiError> {
    let query = parameters(query)?;
    door.off_thread(move |control| control.nodes(&query)).await?.map(Json)
}

async fn node(
    State(door): State<Door>,
    id: Segment,
    query: Parameters<NoParameters>,
) -> Result<Json<NodeDto>, ApiError> {
    parameters(query)?;
    door.control.node(&segment(id)?)?.map(Json).ok_or(ApiError::NotFound)
}

async fn add(
    State(door): State<Door>,
    query: Parameters<AddQuery>,
    WholeBody(body): WholeBody,
) -> Result<Saved<AddReport>, ApiError> {
    door.control.add(body, &parameters(query)?).await
}

async fn remove(
    State(door): State<Door>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Saved<RemoveReport>, ApiError> {
    parameters(query)?;
    let request: RemoveRequest = json_body(&body)?;
    door.control.remove(&request).await
}

async fn remove_one(
    State(door): State<Door>,
    id: Segment,
    query: Parameters<NoParameters>,
) -> Result<Saved<RemoveReport>, ApiError> {
    parameters(query)?;
    let report = door.control.remove(&RemoveRequest { ids: vec![segment(id)?], ban: false }).await?;
    if report.done.removed == 0 { Err(ApiError::NotFound) } else { Ok(report) }
}

async fn bans(State(door): State<Door>, query: Parameters<NoParameters>) -> Result<Json<Vec<BanDto>>, ApiError> {
    parameters(query)?;
    door.off_thread(|control| control.bans()).await.map(Json)
}

async fn ban(
    State(door): State<Door>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Saved<RemoveReport>, ApiError> {
    parameters(query)?;
    let request: RemoveRequest = json_body(&body)?;
    door.control.remove(&RemoveRequest { ban: true, ..request }).await
}

async fn lift(
    State(door): State<Door>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Saved<LiftReport>, ApiError> {
    parameters(query)?;
    let request: LiftRequest = json_body(&body)?;
    door.control.lift(&request.ids).await
}

async fn lift_one(
    State(door): State<Door>,
    id: Segment,
    query: Parameters<NoParameters>,
) -> Result<Saved<LiftReport>, ApiError> {
    parameters(query)?;
    let report = door.control.lift(&[segment(id)?]).await?;
    if report.done.lifted == 0 { Err(ApiError::NotFound) } else { Ok(report) }
}

async fn probe(
    State(door): State<Door>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Response, ApiError> {
    parameters(query)?;
    let request: ProbeRequest = json_body(&body)?;
    let report = door.control.probe(&request).await?;
    Ok((done_or_accepted(report.pending), Json(report)).into_response())
}

async fn fetch(
    State(door): State<Door>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Response, ApiError> {
    parameters(query)?;
    let request: FetchRequest = json_body(&body)?;
    let report = door.control.fetch(&request).await?;
    Ok((done_or_accepted(report.pending), Json(report)).into_response())
}

async fn reload(
    State(door): State<Door>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Json<ReloadReport>, ApiError> {
    parameters(query)?;
    let NoParameters {} = json_body(&body)?;
    door.control.reload().await.map(Json)
}

/// 202 while something of what was asked for goes on.
const fn done_or_accepted(pending: usize) -> StatusCode {
    if pending == 0 { StatusCode::OK } else { StatusCode::ACCEPTED }
}

async fn sessions(
    State(door): State<Door>,
    query: Parameters<SessionsQuery>,
) -> Result<Json<Vec<SessionDto>>, ApiError> {
    let query = parameters(query)?;
    door.off_thread(move |control| control.sessions(&query)).await.map(Json)
}

async fn rotate(
    State(door): State<Door>,
    id: Segment,
    query: Parameters<NoParameters>,
) -> Result<Saved<SessionDto>, ApiError> {
    parameters(query)?;
    door.control.rotate(&segment(id)?).await?.ok_or(ApiError::NotFound)
}

async fn end_session(
    State(door): State<Door>,
    id: Segment,
    query: Parameters<NoParameters>,
) -> Result<Saved<EndReport>, ApiError> {
    parameters(query)?;
    door.control.end_session(&segment(id)?).await?.ok_or(ApiError::NotFound)
}

async fn feedback(
    State(door): State<Door>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Json<FeedbackReport>, ApiError> {
    parameters(query)?;
    door.control.feedback(&json_body(&body)?).map(Json)
}

async fn explain(State(door): State<Door>, query: Parameters<ExplainQuery>) -> Result<Json<ExplainDto>, ApiError> {
    let query = parameters(query)?;
    door.off_thread(move |control| control.explain(&query)).await?.map(Json)
}
