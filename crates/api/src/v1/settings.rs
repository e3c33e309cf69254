//! Sources and the configuration: read sources now, read the configuration again.

use axum::{Json, extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::done_or_accepted;
use crate::{
    ApiError, FetchReport, FetchRequest, ReloadReport,
    body::WholeBody,
    input::{NoParameters, json_body},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(fetch)).routes(routes!(reload))
}

/// Reads sources now, and waits for the results as long as the request says.
#[utoipa::path(
    post, path = "/fetch", operation_id = "fetch_sources", tag = "settings", request_body = FetchRequest,
    responses(
        (status = 200, body = FetchReport, description = "All sources were read."),
        (status = 202, body = FetchReport, description = "Some sources are being read.")
    )
)]
async fn fetch(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<(StatusCode, Json<FetchReport>), ApiError> {
    let request: FetchRequest = json_body(&body)?;
    let report = state.control.fetch(&request).await?;
    Ok((done_or_accepted(report.pending), Json(report)))
}

/// Reads the configuration again and applies what differs. With a mistake in it nothing changes, and every mistake is named.
#[utoipa::path(
    post, path = "/reload", operation_id = "reload", tag = "settings",
    responses((status = 200, body = ReloadReport))
)]
async fn reload(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<Json<ReloadReport>, ApiError> {
    let NoParameters {} = json_body(&body)?;
    state.control.reload().await.map(Json)
}
