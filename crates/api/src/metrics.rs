//! The routes of the metrics.

use axum::{extract::State, response::Response};
use tower_http::{CompressionLevel, compression::CompressionLayer};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ApiError, input::NoParameters, state::ApiState};

/// The metrics of the instance, which are open unless the configuration says otherwise. Long answers are compressed for who takes that.
pub(crate) fn instance_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(metrics)).layer(compression())
}

/// The metrics of single nodes, which need a token: names of nodes and what they carry are nobody else's business.
pub(crate) fn node_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(node_metrics)).layer(compression())
}

fn compression() -> CompressionLayer {
    CompressionLayer::new().quality(CompressionLevel::Fastest)
}

/// All metrics of the instance in the OpenMetrics text form; they are at most one second old.
///
/// With `api.metrics_token` they need a token of the scope `read`.
#[utoipa::path(
    get, path = "/metrics", tag = "status", security(()),
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
async fn metrics(State(state): State<ApiState>) -> Result<Response, ApiError> {
    state.metrics.get(&state.control, |control| control.metrics()).await
}

/// Latency, state, requests and bytes of the nodes that are used most, in the OpenMetrics text form; they are at most one second old.
#[utoipa::path(
    get, path = "/metrics/nodes", tag = "status",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
async fn node_metrics(State(state): State<ApiState>, _: NoParameters) -> Result<Response, ApiError> {
    state.node_metrics.get(&state.control, |control| control.node_metrics()).await
}
