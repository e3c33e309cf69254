//! `/schemas` and `/settings`: what can be said, what is in force, and where it is said.

use axum::{Json, extract::State};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ChangeReport, ChangedBy, SettingDto,
    body::WholeBody,
    input::{NoParameters, json_body},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(schemas)).routes(routes!(settings, set))
}

/// The JSON schema of each kind of objects: `source`, `listener`, `user` and `subscription`.
#[utoipa::path(
    get, path = "/schemas", operation_id = "get_schemas", tag = "settings",
    responses((status = 200, body = std::collections::BTreeMap<String, serde_json::Value>))
)]
async fn schemas(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Map<String, Value>>, ApiError> {
    Ok(Json(state.control.schemas()))
}

/// Every setting with its text, default, range, value and place.
#[utoipa::path(
    get, path = "/settings", operation_id = "list_settings", tag = "settings",
    responses((status = 200, body = Vec<SettingDto>))
)]
async fn settings(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Vec<SettingDto>>, ApiError> {
    Ok(Json(state.control.settings()))
}

/// Changes settings by their keys, all of them or none; null takes one back to its default.
#[utoipa::path(
    patch, path = "/settings", operation_id = "change_settings", tag = "settings",
    request_body = std::collections::BTreeMap<String, serde_json::Value>,
    responses((status = 200, body = ChangeReport))
)]
async fn set(
    State(state): State<ApiState>,
    _: NoParameters,
    by: ChangedBy,
    body: WholeBody,
) -> Result<Json<ChangeReport>, ApiError> {
    state.control.change_settings(&by, json_body(&body)?).await.map(Json)
}
