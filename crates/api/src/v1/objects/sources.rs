//! `/sources`: where nodes are published.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{change, create, one, remove};
use crate::{
    ApiError, ChangeReport, ChangedBy, FetchReport, FetchRequest, ListDto, ObjectChange, ObjectDto, ObjectType,
    ObjectsQuery, PreviewReport, PreviewRequest,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters, segment},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, make))
        .routes(routes!(get, patch, put, delete))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(refresh))
        .routes(routes!(test))
        .routes(routes!(preview))
}

/// The sources of the file and of the store, in the order of their names.
#[utoipa::path(
    get, path = "/sources", operation_id = "list_sources", tag = "settings", params(ObjectsQuery),
    responses((status = 200, body = ListDto<ObjectDto>))
)]
async fn list(
    State(state): State<ApiState>,
    query: Parameters<ObjectsQuery>,
) -> Result<Json<ListDto<ObjectDto>>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.objects(ObjectType::Source, &query)).await?.map(Json)
}

/// Makes a source. It is read at once.
#[utoipa::path(
    post, path = "/sources", operation_id = "create_source", tag = "settings",
    request_body = std::collections::BTreeMap<String, serde_json::Value>,
    responses((status = 201, body = ObjectDto))
)]
async fn make(
    State(state): State<ApiState>,
    query: Parameters<NoParameters>,
    by: ChangedBy,
    body: WholeBody,
) -> Result<(StatusCode, Json<ObjectDto>), ApiError> {
    parameters(query)?;
    create(&state, &by, ObjectType::Source, &body).await
}

/// One source with what is in force, secrets hidden.
#[utoipa::path(
    get, path = "/sources/{name}", operation_id = "get_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = ObjectDto))
)]
async fn get(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
) -> Result<Json<ObjectDto>, ApiError> {
    parameters(query)?;
    one(&state, ObjectType::Source, &segment(name)?)
}

/// Changes some keys of a source; null takes a key away (RFC 7396). What is sent back as it was shown stays as it is.
#[utoipa::path(
    patch, path = "/sources/{name}", operation_id = "change_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    request_body = std::collections::BTreeMap<String, serde_json::Value>,
    responses((status = 200, body = ObjectDto))
)]
async fn patch(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
    by: ChangedBy,
    body: WholeBody,
) -> Result<Json<ObjectDto>, ApiError> {
    parameters(query)?;
    change(&state, &by, ObjectType::Source, &segment(name)?, ObjectChange::Merge(json_body(&body)?)).await
}

/// Puts another source in the place of one. What is sent back as it was shown stays as it is.
#[utoipa::path(
    put, path = "/sources/{name}", operation_id = "replace_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    request_body = std::collections::BTreeMap<String, serde_json::Value>,
    responses((status = 200, body = ObjectDto))
)]
async fn put(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
    by: ChangedBy,
    body: WholeBody,
) -> Result<Json<ObjectDto>, ApiError> {
    parameters(query)?;
    change(&state, &by, ObjectType::Source, &segment(name)?, ObjectChange::Replace(json_body(&body)?)).await
}

/// Removes a source of the store. What it alone lists is not used any more.
#[utoipa::path(
    delete, path = "/sources/{name}", operation_id = "remove_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ChangeReport))
)]
async fn delete(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
    by: ChangedBy,
) -> Result<Json<ChangeReport>, ApiError> {
    parameters(query)?;
    remove(&state, &by, ObjectType::Source, &segment(name)?).await
}

/// Switches a source of the store off: it is not read, and what it alone lists is not used.
#[utoipa::path(
    post, path = "/sources/{name}/pause", operation_id = "pause_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ObjectDto))
)]
async fn pause(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
    by: ChangedBy,
) -> Result<Json<ObjectDto>, ApiError> {
    parameters(query)?;
    switch(&state, &by, &segment(name)?, false).await
}

/// Switches a source of the store on again.
#[utoipa::path(
    post, path = "/sources/{name}/resume", operation_id = "resume_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ObjectDto))
)]
async fn resume(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
    by: ChangedBy,
) -> Result<Json<ObjectDto>, ApiError> {
    parameters(query)?;
    switch(&state, &by, &segment(name)?, true).await
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
    name: Segment,
    query: Parameters<NoParameters>,
) -> Result<(StatusCode, Json<FetchReport>), ApiError> {
    parameters(query)?;
    let name = segment(name)?;
    let Json(source) = one(&state, ObjectType::Source, &name)?;
    let report = state.control.fetch(&FetchRequest { sources: vec![source.name], wait: None }).await?;
    Ok((super::super::done_or_accepted(report.pending), Json(report)))
}

/// Reads a source as it would be read, and says what it would give. Nothing is stored.
#[utoipa::path(
    post, path = "/sources/{name}/test", operation_id = "test_source", tag = "settings",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = PreviewReport))
)]
async fn test(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
) -> Result<Json<PreviewReport>, ApiError> {
    parameters(query)?;
    state.control.test_source(&segment(name)?).await.map(Json)
}

/// Says what a text or a source would give: nodes, and refusals by line. Nothing is stored.
#[utoipa::path(
    post, path = "/sources/preview", operation_id = "preview_source", tag = "settings", request_body = PreviewRequest,
    responses((status = 200, body = PreviewReport))
)]
async fn preview(
    State(state): State<ApiState>,
    query: Parameters<NoParameters>,
    body: WholeBody,
) -> Result<Json<PreviewReport>, ApiError> {
    parameters(query)?;
    state.control.preview(json_body(&body)?).await.map(Json)
}
