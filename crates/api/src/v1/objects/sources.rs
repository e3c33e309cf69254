//! `/sources`: what is done with sources besides what is done with all objects.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{change, one};
use crate::{
    ApiError, ChangedBy, FetchReport, FetchRequest, ObjectChange, ObjectDto, ObjectType, PreviewReport, PreviewRequest,
    body::WholeBody,
    input::{NoParameters, Segment, json_body},
    state::ApiState,
    v1::done_or_accepted,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(refresh))
        .routes(routes!(test))
        .routes(routes!(preview))
}

/// Switches a source of the store off: it is not read, and what it alone lists is not used.
#[utoipa::path(
    post, path = "/sources/{name}/pause", operation_id = "pause_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ObjectDto))
)]
async fn pause(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
    by: ChangedBy,
) -> Result<Json<ObjectDto>, ApiError> {
    switch(&state, &by, &name, false).await
}

/// Switches a source of the store on again.
#[utoipa::path(
    post, path = "/sources/{name}/resume", operation_id = "resume_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ObjectDto))
)]
async fn resume(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
    by: ChangedBy,
) -> Result<Json<ObjectDto>, ApiError> {
    switch(&state, &by, &name, true).await
}

async fn switch(state: &ApiState, by: &ChangedBy, name: &str, enabled: bool) -> Result<Json<ObjectDto>, ApiError> {
    let patch = ObjectChange::Merge(json!({ "enabled": enabled }));
    change(state, by, ObjectType::Source, name, patch).await
}

/// Reads a source now, and waits for the result for up to 30 seconds.
#[utoipa::path(
    post, path = "/sources/{name}/refresh", operation_id = "refresh_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = FetchReport), (status = 202, body = FetchReport, description = "It is being read."))
)]
async fn refresh(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<(StatusCode, Json<FetchReport>), ApiError> {
    let Json(source) = one(&state, ObjectType::Source, &name)?;
    let report = state.control.fetch(&FetchRequest { sources: vec![source.name], wait: None }).await?;
    Ok((done_or_accepted(report.pending), Json(report)))
}

/// Reads a source as it would be read, and says what it would give. Nothing is stored.
#[utoipa::path(
    post, path = "/sources/{name}/test", operation_id = "test_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = PreviewReport))
)]
async fn test(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<Json<PreviewReport>, ApiError> {
    state.control.test_source(&name).await.map(Json)
}

/// Says what a text or a source would give: nodes, and refusals by line. Nothing is stored.
#[utoipa::path(
    post, path = "/sources/preview", operation_id = "preview_source", tag = "settings",
    request_body(content = PreviewRequest, example = json!({ "text": "socks5://192.0.2.1:1080#one\n" })),
    responses((status = 200, body = PreviewReport))
)]
async fn preview(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<Json<PreviewReport>, ApiError> {
    state.control.preview(json_body(&body)?).await.map(Json)
}
