//! What users have moved, by days.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ListDto, ProblemDto, UsageDayDto, UsageParameters, UserUsageDto,
    input::{NoParameters, Parameters, Segment, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(of_user))
}

/// The bytes of users by day (UTC), the oldest day in front.
#[utoipa::path(
    get, path = "/usage", operation_id = "list_usage", tag = "usage", params(UsageParameters),
    responses((status = 200, body = ListDto<UsageDayDto>))
)]
async fn list(
    State(state): State<ApiState>,
    query: Parameters<UsageParameters>,
) -> Result<Json<ListDto<UsageDayDto>>, ApiError> {
    state.control.usage(&parameters(query)?).await.map(Json)
}

/// What one user has moved today, this month and in all.
#[utoipa::path(
    get, path = "/users/{name}/usage", operation_id = "get_usage_of_user", tag = "usage",
    params(("name" = String, Path, description = "The name of the user")),
    responses(
        (status = 200, body = UserUsageDto),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "No user has this name, and none has moved anything under it.")
    )
)]
async fn of_user(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<Json<UserUsageDto>, ApiError> {
    state.control.usage_of_user(&name).map(Json).ok_or(ApiError::NotFound)
}
