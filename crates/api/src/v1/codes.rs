//! What the stable codes mean, and what to do about them.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, CodeDto,
    input::{NoParameters, Segment},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// Every stable code with its meaning and what to do about it.
#[utoipa::path(
    get, path = "/errors", operation_id = "list_errors", tag = "status", responses((status = 200, body = Vec<CodeDto>))
)]
async fn list(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Vec<CodeDto>>, ApiError> {
    Ok(Json(state.control.codes()))
}

/// What one code means, and what to do about it: the `type` of every problem names this path.
#[utoipa::path(
    get, path = "/errors/{code}", operation_id = "explain_error", tag = "status",
    params(("code" = String, Path, description = "A stable code")),
    responses((status = 200, body = CodeDto))
)]
async fn show(
    State(state): State<ApiState>,
    Segment(asked): Segment,
    _: NoParameters,
) -> Result<Json<CodeDto>, ApiError> {
    state.control.codes().into_iter().find(|code| code.code == asked).map(Json).ok_or(ApiError::NotFound)
}
