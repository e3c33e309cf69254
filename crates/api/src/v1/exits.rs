//! Exits: the addresses from which traffic leaves.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ExitDto, ExitsPage, ExitsQuery,
    input::{NoParameters, Parameters, Segment, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// The known exits of all nodes, each once.
#[utoipa::path(
    get, path = "/exits", operation_id = "list_exits", tag = "nodes",
    params(ExitsQuery), responses((status = 200, body = ExitsPage))
)]
async fn list(State(state): State<ApiState>, query: Parameters<ExitsQuery>) -> Result<Json<ExitsPage>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.exits(&query)).await?.map(Json)
}

/// One exit; `GET /api/v1/nodes?exit=…` lists the nodes behind it.
#[utoipa::path(
    get, path = "/exits/{ip}", operation_id = "show_exit", tag = "nodes",
    params(("ip" = String, Path, description = "The address")), responses((status = 200, body = ExitDto))
)]
async fn show(State(state): State<ApiState>, Segment(ip): Segment, _: NoParameters) -> Result<Json<ExitDto>, ApiError> {
    state.off_thread(move |control| control.exit(&ip)).await??.map(Json).ok_or(ApiError::NotFound)
}
