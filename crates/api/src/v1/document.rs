//! The OpenAPI document itself.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "status",
    responses((status = 200, body = serde_json::Value, content_type = "application/json"))
)]
async fn openapi(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.document).into_response()
}
