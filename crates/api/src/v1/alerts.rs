//! Alerts that the instance sends itself.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AlertDto, AlertTestReport, ApiError,
    input::{NoParameters, Segment},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(test))
}

/// Every `[[alert]]` of the configuration with the state of its troubles.
#[utoipa::path(
    get, path = "/alerts", operation_id = "list_alerts", tag = "status", responses((status = 200, body = Vec<AlertDto>))
)]
async fn list(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Vec<AlertDto>>, ApiError> {
    Ok(Json(state.control.alerts()))
}

/// Sends a message that says that it is a test to the receiver of an alert, once, and tells how that ended.
#[utoipa::path(
    post, path = "/alerts/{name}/test", operation_id = "test_alert", tag = "status",
    params(("name" = String, Path, description = "The name of the alert")),
    responses((status = 200, body = AlertTestReport))
)]
async fn test(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<Json<AlertTestReport>, ApiError> {
    state.control.test_alert(&name).await.map(Json).ok_or(ApiError::NotFound)
}
