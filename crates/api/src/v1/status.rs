//! The state of the instance, and what a request could use.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ExplainDto, ExplainQuery, StatusDto, VersionDto,
    input::{NoParameters, Parameters, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(explain)).routes(routes!(version))
}

/// The state of the whole instance.
#[utoipa::path(get, path = "/status", tag = "status", responses((status = 200, body = StatusDto)))]
async fn status(State(state): State<ApiState>, _: NoParameters) -> Result<Json<StatusDto>, ApiError> {
    state.off_thread(|control| control.status()).await.map(Json)
}

/// Which nodes a request could use, and why not the others.
#[utoipa::path(get, path = "/explain", tag = "status", params(ExplainQuery), responses((status = 200, body = ExplainDto)))]
async fn explain(State(state): State<ApiState>, query: Parameters<ExplainQuery>) -> Result<Json<ExplainDto>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.explain(&query)).await?.map(Json)
}

/// The version of the program and of this API.
#[utoipa::path(get, path = "/version", tag = "status", responses((status = 200, body = VersionDto)))]
async fn version(State(state): State<ApiState>, _: NoParameters) -> Result<Json<VersionDto>, ApiError> {
    Ok(Json(state.control.version()))
}
