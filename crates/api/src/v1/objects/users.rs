//! `/users`: who may use the proxy.

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

/// The users of the file and of the store, in the order of their names.
#[utoipa::path(
    get, path = "/users", operation_id = "list_users", tag = "settings", params(ObjectsQuery),
    responses((status = 200, body = ListDto<ObjectDto>))
)]
async fn list(
    State(state): State<ApiState>,
    query: Parameters<ObjectsQuery>,
) -> Result<Json<ListDto<ObjectDto>>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.objects(ObjectType::User, &query)).await?.map(Json)
}

/// Makes a user. The password is stored as a hash.
#[utoipa::path(
    post, path = "/users", operation_id = "create_user", tag = "settings",
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
    create(&state, &by, ObjectType::User, &body).await
}

/// One user with what is in force, secrets hidden.
#[utoipa::path(
    get, path = "/users/{name}", operation_id = "get_user", tag = "settings",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = ObjectDto))
)]
async fn get(
    State(state): State<ApiState>,
    name: Segment,
    query: Parameters<NoParameters>,
) -> Result<Json<ObjectDto>, ApiError> {
    parameters(query)?;
    one(&state, ObjectType::User, &segment(name)?)
}

/// Changes some keys of a user; null takes a key away (RFC 7396). What is sent back as it was shown stays as it is.
#[utoipa::path(
    patch, path = "/users/{name}", operation_id = "change_user", tag = "settings",
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
    change(&state, &by, ObjectType::User, &segment(name)?, ObjectChange::Merge(json_body(&body)?)).await
}

/// Puts another user in the place of one. What is sent back as it was shown stays as it is.
#[utoipa::path(
    put, path = "/users/{name}", operation_id = "replace_user", tag = "settings",
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
    change(&state, &by, ObjectType::User, &segment(name)?, ObjectChange::Replace(json_body(&body)?)).await
}

/// Removes a user of the store. It is refused from then on.
#[utoipa::path(
    delete, path = "/users/{name}", operation_id = "remove_user", tag = "settings",
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
    remove(&state, &by, ObjectType::User, &segment(name)?).await
}
