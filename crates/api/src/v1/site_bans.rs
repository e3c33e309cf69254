//! `/bans/sites`: exits that are not used for a site for a time.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ProblemDto, Saved, SiteBanDto, SiteBanRequest, SiteBansFilter, SiteBansLifted, SiteBansPage,
    SiteBansQuery,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, ban, lift)).routes(routes!(lift_one))
}

/// The exits that are not used for sites now: by bans of this list, and by the rules of listeners.
#[utoipa::path(
    get, path = "/bans/sites", operation_id = "list_site_bans", tag = "bans",
    params(SiteBansQuery), responses((status = 200, body = SiteBansPage))
)]
async fn list(State(state): State<ApiState>, query: Parameters<SiteBansQuery>) -> Result<Json<SiteBansPage>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.site_bans(&query)).await?.map(Json)
}

/// Does not use an exit for a site for a time; the same pair again gets the new end. Where a site refuses every exit, one is used all the same.
///
/// There are at most 65,536 bans; one more ends the one that would end first.
#[utoipa::path(
    post, path = "/bans/sites", operation_id = "ban_exit_for_site", tag = "bans", request_body = SiteBanRequest,
    responses(
        (status = 200, body = Saved<SiteBanDto>), (status = 202, body = Saved<SiteBanDto>),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such node, or its exit is not known.")
    )
)]
async fn ban(State(state): State<ApiState>, _: NoParameters, body: WholeBody) -> Result<Saved<SiteBanDto>, ApiError> {
    state.control.ban_exit(&json_body(&body)?).await
}

/// Lifts every ban that fits: those of a site, of an exit, or with a text in their reasons.
#[utoipa::path(
    delete, path = "/bans/sites", operation_id = "lift_site_bans", tag = "bans", request_body = SiteBansFilter,
    responses((status = 200, body = Saved<SiteBansLifted>), (status = 202, body = Saved<SiteBansLifted>))
)]
async fn lift(
    State(state): State<ApiState>,
    _: NoParameters,
    body: WholeBody,
) -> Result<Saved<SiteBansLifted>, ApiError> {
    state.control.lift_site_bans(&json_body(&body)?).await
}

/// Lifts one ban.
#[utoipa::path(
    delete, path = "/bans/sites/{id}", operation_id = "lift_site_ban", tag = "bans",
    params(("id" = String, Path, description = "The site and the exit, as `example.com@203.0.113.7`")),
    responses((status = 200, body = Saved<SiteBansLifted>), (status = 202, body = Saved<SiteBansLifted>))
)]
async fn lift_one(
    State(state): State<ApiState>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Saved<SiteBansLifted>, ApiError> {
    let report = state.control.lift_site_ban(&id).await?;
    if report.done.lifted == 0 { Err(ApiError::NotFound) } else { Ok(report) }
}
