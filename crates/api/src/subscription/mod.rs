//! Subscriptions out: `/sub/TOKEN` answers with the nodes that work, in the form that the client reads. See docs/subscriptions.md.

mod limits;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::{
    ApiError, SubscriptionAsked, SubscriptionTarget, SubscriptionText, etag, input::Segment, peer::Peer,
    state::ApiState,
};
use limits::RateLimits;

#[derive(Clone)]
struct SubscriptionState {
    api: ApiState,
    limits: Arc<RateLimits>,
}

/// The path of subscriptions.
pub(crate) fn router(api: ApiState) -> Router {
    let state = SubscriptionState { api, limits: Arc::default() };
    Router::new()
        .route("/sub/{token}", get(subscription))
        .method_not_allowed_fallback(async || ApiError::Method)
        .with_state(state)
}

/// The parameters of a subscription's address. They narrow down what the subscription itself gives.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SubscriptionQuery {
    target: Option<String>,
    doors: Option<String>,
    country: Option<String>,
    scheme: Option<String>,
    source: Option<String>,
    tags: Option<String>,
    max_latency: Option<String>,
    top: Option<usize>,
}

async fn subscription(
    State(state): State<SubscriptionState>,
    token: Result<Segment, ApiError>,
    peer: Option<Extension<Peer>>,
    query: Result<Query<SubscriptionQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let client = peer.map_or(IpAddr::from([0, 0, 0, 0]), |Extension(peer)| peer.client(&headers));
    if !state.limits.may_guess(client) {
        return too_many();
    }
    // What is no text is no token either, and is answered like one that is not known.
    let name = token.ok().and_then(|Segment(token)| state.api.control.subscription(&token));
    let Some(name) = name else {
        state.limits.note_unknown(client);
        return ApiError::NotFound.into_response();
    };
    if !state.limits.may_read(&name, client) {
        return too_many();
    }
    match answer(&state, name, query, &headers).await {
        Ok(answer) => answer,
        Err(error) => error.into_response(),
    }
}

fn too_many() -> Response {
    let seconds = limits::WINDOW.as_secs().to_string();
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], ApiError::TooManyRequests).into_response()
}

async fn answer(
    state: &SubscriptionState,
    name: String,
    query: Result<Query<SubscriptionQuery>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest(error.body_text()))?;
    let agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let target = match query.target.as_deref() {
        Some(name) => SubscriptionTarget::from_name(name).ok_or_else(|| {
            let known = SubscriptionTarget::ALL.map(SubscriptionTarget::name).join(", ");
            ApiError::BadRequest(format!("target {name:?} is not one of {known}"))
        })?,
        None => SubscriptionTarget::of_user_agent(&agent.unwrap_or_default()),
    };
    let asked = SubscriptionAsked {
        name: name.clone(),
        target,
        inbounds: query.doors.as_deref().map(yes_or_no).transpose()?,
        countries: comma_separated(query.country.as_deref()),
        schemes: comma_separated(query.scheme.as_deref()),
        sources: comma_separated(query.source.as_deref()),
        tags: query.tags,
        max_latency: query.max_latency,
        top: query.top,
    };
    let text = state.api.off_thread(move |control| control.subscription_text(&asked)).await??;
    Ok(response(headers, target, &name, text))
}

/// `1` or `true`, `0` or `false`.
fn yes_or_no(text: &str) -> Result<bool, ApiError> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(ApiError::BadRequest(format!("doors {text:?} is neither 1 nor 0"))),
    }
}

/// The entries of a list with commas.
fn comma_separated(text: Option<&str>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The answer with the headers that clients read, or 304 for a client that has it.
fn response(asked: &HeaderMap, target: SubscriptionTarget, name: &str, text: SubscriptionText) -> Response {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: String| {
        // Values are made of what a header may hold; one that is not would only be missing.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    let tag = format!("\"{}\"", text.tag);
    put("etag", tag.clone());
    put("cache-control", "private, no-cache".to_owned());
    put("content-type", target.content_type().to_owned());
    let file = format!("{}.{}", text.title, target.extension());
    put(
        "content-disposition",
        format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(&file, NON_ALPHANUMERIC)),
    );
    put("profile-title", format!("base64:{}", STANDARD.encode(&text.title)));
    put("profile-update-interval", whole_hours(text.update_every).to_string());
    put("hezar-nodes", format!("{}; left-out={}", text.nodes, text.left_out.values().sum::<usize>()));
    if !text.left_out.is_empty() {
        let reasons: Vec<String> =
            text.left_out.iter().map(|(reason, count)| format!("{count};why=\"{reason}\"")).collect();
        put("hezar-left-out", reasons.join(", "));
    }
    if let Some(user) = text.user {
        let mut info = format!("upload={}; download={}", user.upload, user.download);
        // What is absent has no bound.
        info.push_str(&user.total.map(|total| format!("; total={total}")).unwrap_or_default());
        info.push_str(&user.expires.map(|expires| format!("; expire={expires}")).unwrap_or_default());
        put("subscription-userinfo", info);
    }
    tracing::debug!(subscription = name, target = target.name(), nodes = text.nodes, "subscription read");
    if etag::is_known(asked, &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, text.text).into_response()
}

/// Clients take whole hours.
fn whole_hours(interval: Duration) -> u64 {
    interval.as_secs().div_ceil(3600).max(1)
}
