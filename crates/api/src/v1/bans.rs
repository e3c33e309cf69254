//! Nodes that must not come back.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, BanDto, LiftReport, LiftRequest, RemoveReport, RemoveRequest, Saved,
    body::WholeBody,
    input::{NoParameters, Segment, json_body},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, ban, lift)).routes(routes!(lift_one))
}

/// Every banned node, in the order of the ids.
#[utoipa::path(
    get, path = "/bans", operation_id = "list_bans", tag = "bans", responses((status = 200, body = Vec<BanDto>))
)]
async fn list(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Vec<BanDto>>, ApiError> {
    state.off_thread(|control| control.bans()).await.map(Json)
}

/// Removes nodes and bans them: no list brings them back until the ban is lifted.
#[utoipa::path(
    post, path = "/bans", operation_id = "ban_nodes", tag = "bans", request_body = RemoveRequest,
    responses((status = 200, body = Saved<RemoveReport>), (status = 202, body = Saved<RemoveReport>))
)]
async fn ban(State(state): State<ApiState>, _: NoParameters, body: WholeBody) -> Result<Saved<RemoveReport>, ApiError> {
    let request: RemoveRequest = json_body(&body)?;
    state.control.remove(&RemoveRequest { ban: true, ..request }).await
}

/// Lifts bans; the nodes come back with the next reading of a source that lists them.
#[utoipa::path(
    delete, path = "/bans", operation_id = "lift_bans", tag = "bans", request_body = LiftRequest,
    responses((status = 200, body = Saved<LiftReport>), (status = 202, body = Saved<LiftReport>))
)]
async fn lift(State(state): State<ApiState>, _: NoParameters, body: WholeBody) -> Result<Saved<LiftReport>, ApiError> {
    let request: LiftRequest = json_body(&body)?;
    state.control.lift(&request.ids).await
}

/// Lifts the ban of one node.
#[utoipa::path(
    delete, path = "/bans/{id}", operation_id = "lift_ban", tag = "bans",
    params(("id" = String, Path, description = "The id of a banned node, in full or short")),
    responses((status = 200, body = Saved<LiftReport>), (status = 202, body = Saved<LiftReport>))
)]
async fn lift_one(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Saved<LiftReport>, ApiError> {
    let report = state.control.lift(&[id]).await?;
    if report.done.lifted == 0 { Err(ApiError::NotFound) } else { Ok(report) }
}
