//! Installed cores that dial what this program does not speak.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ApiError, CoresDto, input::NoParameters, state::ApiState};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The installed cores that dial what this program does not speak, those that are missing, and the nodes that they have refused.
#[utoipa::path(
    get, path = "/cores", operation_id = "list_cores", tag = "status", responses((status = 200, body = CoresDto))
)]
async fn list(State(state): State<ApiState>, _: NoParameters) -> Result<Json<CoresDto>, ApiError> {
    Ok(Json(state.control.cores()))
}
