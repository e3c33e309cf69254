//! All paths of the API's address: health and metrics for everybody, `/api/v1` for those who have a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, Control, HealthzDto, ReadyDto, Scope, clash, guard::Guard, metrics, openapi, page, sign_in::PageAccess,
    state::ApiState, subscription, v1,
};

/// The router that serves the API; with `open_metrics`, `/metrics` needs no token.
pub(crate) fn router(
    control: Arc<dyn Control>,
    guard: Guard,
    page: Arc<PageAccess>,
    stop: CancellationToken,
    open_metrics: bool,
) -> axum::Router {
    let state = ApiState::new(control, guard, page, openapi_json(), stop);
    let metrics = metric_routes(&state, open_metrics);
    let (router, _) = described(guarded(v1::routes(), &state), metrics).split_for_parts();
    router
        .merge(page::file_routes())
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::Method)
        .with_state(state.clone())
        .merge(clash::router(state.clone()))
        .merge(subscription::router(state.clone()))
        .layer(middleware::from_fn_with_state(state, need_host))
}

/// The router of an instance without the role `api`: health and metrics alone.
pub(crate) fn health_router(
    control: Arc<dyn Control>,
    guard: Guard,
    page: Arc<PageAccess>,
    stop: CancellationToken,
    open_metrics: bool,
) -> axum::Router {
    let state = ApiState::new(control, guard, page, String::new(), stop);
    let (router, _) = health_routes(metric_routes(&state, open_metrics)).split_for_parts();
    router
        .fallback(async || ApiError::OtherRole)
        .method_not_allowed_fallback(async || ApiError::Method)
        .with_state(state.clone())
        .layer(middleware::from_fn_with_state(state, need_host))
}

/// Routes that need a token.
fn guarded(routes: OpenApiRouter<ApiState>, state: &ApiState) -> OpenApiRouter<ApiState> {
    routes.route_layer(middleware::from_fn_with_state(state.clone(), need_token))
}

fn metric_routes(state: &ApiState, open_metrics: bool) -> OpenApiRouter<ApiState> {
    let of_instance = metrics::instance_routes();
    let of_instance = if open_metrics { of_instance } else { guarded(of_instance, state) };
    of_instance.merge(guarded(metrics::node_routes(), state))
}

/// The OpenAPI 3.1 document of the API, as `GET /api/v1/openapi.json` answers it.
#[must_use]
pub fn openapi_json() -> String {
    let metrics = metrics::instance_routes().merge(metrics::node_routes());
    let document = openapi::complete(described(v1::routes(), metrics).into_openapi());
    // The document is made of texts and numbers, which can always be written.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    openapi::widen_unsigned(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// Every path with its description.
fn described(v1: OpenApiRouter<ApiState>, metrics: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    health_routes(metrics).nest(openapi::PREFIX, page::session_routes().merge(v1))
}

/// What needs no token, with the metrics.
fn health_routes(metrics: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::base()).routes(routes!(healthz)).routes(routes!(readyz)).merge(metrics)
}

async fn need_host(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    match state.guard.check_host(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn need_token(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    if let Err(error) = state.page.adopt_cookie(&mut request) {
        return error.into_response();
    }
    let caller = match state.caller_of(request.headers()) {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    // Middleware of a nested router sees the path without the prefix.
    let needed = Scope::needed(request.method(), request.uri().path());
    if !caller.scope.covers(needed) {
        return ApiError::Forbidden { scope: caller.scope.name(), needed: needed.name() }.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Says that the program is alive.
#[utoipa::path(get, path = "/healthz", tag = "status", security(()), responses((status = 200, body = HealthzDto)))]
async fn healthz(State(state): State<ApiState>) -> Json<HealthzDto> {
    Json(HealthzDto { status: "ok".to_owned(), serving: state.control.health().serving })
}

/// Says whether the instance does its part: a gateway has open listeners and nodes that carry traffic, and none is being drained.
/// For load balancers.
#[utoipa::path(
    get, path = "/readyz", tag = "status", security(()),
    responses((status = 200, body = ReadyDto), (status = 503, body = ReadyDto, description = "Not now; the body says why."))
)]
async fn readyz(State(state): State<ApiState>) -> (StatusCode, Json<ReadyDto>) {
    let ready = state.control.ready();
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready))
}
