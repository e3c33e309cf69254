//! `/listeners`: further addresses for clients.

use axum::{Json, extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{change, create, one, remove};
use crate::{
    ApiError, ChangeReport, ChangedBy, ListDto, ObjectChange, ObjectDto, ObjectType, ObjectsQuery,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters, segment},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, make)).routes(routes!(get, patch, put, delete))
}

/// The listeners of the file and of the store, in the order of their names.
#[utoipa::path(
    get, path = "/listeners", operation_id = "list_listeners", tag = "settings", params(ObjectsQuery),
    responses((status = 200, body = ListDto<ObjectDto>))
)]
async fn list(
    State(state): State<ApiState>,
    query: Parameters<ObjectsQuery>,
) -> Result<Json<ListDto<ObjectDto>>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.objects(ObjectType::Listener, &query)).await?.map(Json)
}

/// Makes a listener. It opens at once.
#[utoipa::path(
    post, path = "/listeners", operation_id = "create_listener", tag = "settings",
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
    create(&state, &by, ObjectType::Listener, &body).await
}

/// One listener with what is in force, secrets hidden.
#[utoipa::path(
    get, path = "/listeners/{name}", operation_id = "get_listener", tag = "settings",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = ObjectDto))
)]
async fn get(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
) -> Result<Json<ObjectDto>, ApiError> {
    parameters(query)?;
    one(&state, ObjectType::Listener, &segment(name)?)
}

/// Changes some keys of a listener; null takes a key away (RFC 7396). What is sent back as it was shown stays as it is.
#[utoipa::path(
    patch, path = "/listeners/{name}", operation_id = "change_listener", tag = "settings",
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
    change(&state, &by, ObjectType::Listener, &segment(name)?, ObjectChange::Merge(json_body(&body)?)).await
}

/// Puts another listener in the place of one. What is sent back as it was shown stays as it is.
#[utoipa::path(
    put, path = "/listeners/{name}", operation_id = "replace_listener", tag = "settings",
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
    change(&state, &by, ObjectType::Listener, &segment(name)?, ObjectChange::Replace(json_body(&body)?)).await
}

/// Removes a listener of the store. It accepts nobody any more, and what runs may finish.
#[utoipa::path(
    delete, path = "/listeners/{name}", operation_id = "remove_listener", tag = "settings",
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
    remove(&state, &by, ObjectType::Listener, &segment(name)?).await
}
