//! A proxy address that is ready to be used, for clients that want to be told one.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, ProxyDto, ProxyQuery,
    guard::host_name,
    input::{Parameters, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(proxy))
}

/// One proxy address with these options, as this client reaches it.
#[utoipa::path(
    get, path = "/proxy", operation_id = "proxy_address", tag = "sessions",
    params(ProxyQuery), responses((status = 200, body = ProxyDto))
)]
async fn proxy(
    State(state): State<ApiState>,
    query: Parameters<ProxyQuery>,
    headers: HeaderMap,
) -> Result<Json<ProxyDto>, ApiError> {
    let query = parameters(query)?;
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).ok_or(ApiError::ForeignHost)?;
    let host = host_name(host).to_owned();
    state.off_thread(move |control| control.proxy_address(&query, &host)).await?.map(Json)
}
