//! `/users/{name}/links`: how the phones of a user come in.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ProblemDto, UserLinksDto, UserLinksQuery,
    input::{Parameters, Segment, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(of_user))
}

/// The links by which a user comes in by encrypted listeners. They are secrets: only admin tokens may read them.
///
/// A user without a key has none.
#[utoipa::path(
    get, path = "/users/{name}/links", operation_id = "list_links_of_user", tag = "settings",
    params(("name" = String, Path, description = "The name of the user"), UserLinksQuery),
    responses(
        (status = 200, body = UserLinksDto),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "No user has this name.")
    )
)]
async fn of_user(
    State(state): State<ApiState>,
    Segment(name): Segment,
    query: Parameters<UserLinksQuery>,
) -> Result<Json<UserLinksDto>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.links_of_user(&name, &query)).await?.map(Json)
}
