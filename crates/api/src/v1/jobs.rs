//! Work that goes on after its request was answered.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, JobDto,
    input::{NoParameters, Segment},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// The jobs that run and those that have ended within the last hour, the newest in front, without their results.
#[utoipa::path(
    get, path = "/jobs", operation_id = "list_jobs", tag = "jobs", responses((status = 200, body = Vec<JobDto>))
)]
async fn list(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Vec<JobDto>>, ApiError> {
    Ok(Json(state.control.jobs().list()))
}

/// One job, with its result when it is done.
#[utoipa::path(
    get, path = "/jobs/{id}", operation_id = "show_job", tag = "jobs",
    params(("id" = String, Path, description = "The id that the answer 202 gave")),
    responses((status = 200, body = JobDto))
)]
async fn show(State(state): State<ApiState>, Segment(id): Segment, _: NoParameters) -> Result<Json<JobDto>, ApiError> {
    state.control.jobs().get(&id).map(Json).ok_or(ApiError::NotFound)
}
