//! What was counted over time.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, HistoryDto, HistoryQuery, NodeProbesDto,
    input::{NoParameters, Parameters, Segment, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(history)).routes(routes!(node_probes))
}

/// Nodes by state, requests by code, bytes and latency percentiles over time: by the minute for a day, by the hour for 90 days.
#[utoipa::path(get, path = "/history", tag = "status", params(HistoryQuery), responses((status = 200, body = HistoryDto)))]
async fn history(State(state): State<ApiState>, query: Parameters<HistoryQuery>) -> Result<Json<HistoryDto>, ApiError> {
    state.control.history(&parameters(query)?).await.map(Json)
}

/// The last probes of one node.
#[utoipa::path(
    get, path = "/nodes/{id}/probes", tag = "nodes",
    params(("id" = String, Path, description = "32 hexadecimal digits, or at least the first 6 where these name one node")),
    responses((status = 200, body = NodeProbesDto))
)]
async fn node_probes(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Json<NodeProbesDto>, ApiError> {
    state.control.node_probes(&id)?.map(Json).ok_or(ApiError::NotFound)
}
