//! The instances that share a store.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, DrainReport, InstanceDto,
    input::{NoParameters, Segment},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(instances)).routes(routes!(drain)).routes(routes!(undrain))
}

/// The processes of this installation, those too that were alive within the last hour.
#[utoipa::path(
    get, path = "/instances", operation_id = "list_instances", tag = "status",
    responses((status = 200, body = Vec<InstanceDto>))
)]
async fn instances(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Vec<InstanceDto>>, ApiError> {
    Ok(Json(state.control.instances()))
}

/// Takes an instance out of use: `/readyz` says 503, so that balancers send it no new clients, and it gives up the nodes that it probes
/// and the sources that it reads. Open tunnels go on until they end.
#[utoipa::path(
    post, path = "/instances/{name}/drain", operation_id = "drain_instance", tag = "status",
    params(("name" = String, Path, description = "The name of the instance")),
    responses((status = 200, body = DrainReport))
)]
async fn drain(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<Json<DrainReport>, ApiError> {
    state.control.drain(&name, true).await.map(Json)
}

/// Takes an instance into use again.
#[utoipa::path(
    post, path = "/instances/{name}/undrain", operation_id = "undrain_instance", tag = "status",
    params(("name" = String, Path, description = "The name of the instance")),
    responses((status = 200, body = DrainReport))
)]
async fn undrain(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<Json<DrainReport>, ApiError> {
    state.control.drain(&name, false).await.map(Json)
}
