//! The Clash API, so that dashboards which people already have show and steer the pool: the paths of mihomo's external
//! controller, on the API's address, in Hezar's words. See docs/clash.md.

mod connections;
mod delay;
mod instance;
mod logs;
mod long_answers;
mod names;
mod providers;
mod proxies;
mod proxy;
mod reply;
mod storage;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod ui;
mod view;
mod view_path;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{
    CompressionLevel,
    compression::CompressionLayer,
    cors::{Any, CorsLayer},
};
use url::form_urlencoded;

use crate::{ApiError, Scope, state::ApiState};
use reply::ClashError;

/// For how long a browser may keep what a preflight answered.
const PREFLIGHT_AGE: Duration = Duration::from_secs(300);

/// What every route of the Clash API works with. Cheap to clone.
#[derive(Clone)]
struct ClashState {
    api: ApiState,
    views: Arc<view::ViewCache>,
    places: streams::StreamPlaces,
}

/// Every path of the Clash API, and the files of a dashboard.
pub(crate) fn router(api: ApiState) -> Router {
    let state = ClashState { api, views: Arc::default(), places: streams::StreamPlaces::default() };
    // Everybody may ask, since every answer needs the token: a dashboard may come from any address.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .allow_private_network(true)
        .max_age(PREFLIGHT_AGE);
    let short = Router::new()
        .merge(proxies::routes())
        .merge(providers::routes())
        .merge(instance::routes())
        .merge(storage::routes())
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    let guarded = short
        .merge(connections::routes())
        .merge(logs::routes())
        .merge(streams::routes())
        .method_not_allowed_fallback(async || ApiError::Method)
        .route_layer(middleware::from_fn_with_state(state.clone(), need_token));
    let clash = guarded
        .merge(ui::routes())
        .layer(cors)
        .route_layer(middleware::from_fn_with_state(state.clone(), need_enabled))
        .with_state(state);
    view_path::routes(clash.clone()).merge(clash)
}

/// The paths do not exist while the Clash API is switched off.
async fn need_enabled(State(state): State<ClashState>, request: Request, next: Next) -> Response {
    if state.api.control.dashboard_instance().settings.enabled {
        next.run(request).await
    } else {
        ApiError::NotFound.into_response()
    }
}

async fn need_token(State(state): State<ClashState>, mut request: Request, next: Next) -> Response {
    let Some(authorization) = authorization(&request) else { return ClashError::unauthorized().into_response() };
    // Nothing but the token counts here: every site may ask, so what a browser sends by itself must not.
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization)]);
    let caller = match state.api.caller_of(&headers) {
        Ok(caller) => caller,
        Err(ApiError::Unauthorized) => return ClashError::unauthorized().into_response(),
        Err(error) => return ClashError::from(error).into_response(),
    };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let needed = if reads { Scope::Read } else { Scope::Admin };
    if !caller.scope.covers(needed) {
        let error = ApiError::Forbidden { scope: caller.scope.name(), needed: needed.name() };
        return ClashError::from(error).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The token in the header, or in the query of a WebSocket, where a browser can send no header.
fn authorization(request: &Request) -> Option<HeaderValue> {
    let headers = request.headers();
    if let Some(header) = headers.get(header::AUTHORIZATION) {
        return Some(header.clone());
    }
    let upgrade = headers.get(header::UPGRADE)?.to_str().ok()?;
    // A WebSocket begins with GET (RFC 6455, section 4.1): nothing is changed by an address alone.
    if *request.method() != Method::GET || !upgrade.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let query = request.uri().query().unwrap_or_default();
    let (_, token) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token")?;
    HeaderValue::from_str(&format!("Bearer {token}")).ok()
}
