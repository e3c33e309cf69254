//! `/subscriptions/{name}/address`: where a client reads a subscription.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, SubscriptionAddressDto,
    input::{NoParameters, Segment},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(address))
}

/// Where a client reads a subscription: a path at this API's address that holds the subscription's token.
///
/// A subscription that is disabled, or not in force, has none.
#[utoipa::path(
    get, path = "/subscriptions/{name}/address", operation_id = "show_subscription_address", tag = "settings",
    params(("name" = String, Path, description = "The name of the subscription")),
    responses((status = 200, body = SubscriptionAddressDto))
)]
async fn address(
    State(state): State<ApiState>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<Json<SubscriptionAddressDto>, ApiError> {
    let token = state.control.subscription_token(&name).ok_or(ApiError::NotFound)?;
    Ok(Json(SubscriptionAddressDto { path: format!("/sub/{}", token.expose()) }))
}
