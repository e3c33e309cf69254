//! The feed: what other instances follow.

use std::{iter, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, FeedChangesDto, FeedChangesQuery, FeedHeadDto, FeedLineDto, FeedNodeDto, FeedQuery,
    input::{Parameters, parameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(feed)).routes(routes!(changes))
}

/// The nodes that work, with their links and what is known of them, for a source `hezar = "…"` of another instance: one line of JSON for
/// the answer (`FeedHeadDto`), and one for each node (`FeedNodeDto`).
#[utoipa::path(
    get, path = "/feed", operation_id = "read_feed", tag = "nodes", params(FeedQuery),
    responses((status = 200, body = FeedLineDto, content_type = "application/x-ndjson"))
)]
async fn feed(State(state): State<ApiState>, query: Parameters<FeedQuery>) -> Result<Response, ApiError> {
    let query = parameters(query)?;
    let text = state.off_thread(move |control| lines(control.feed(&query))).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// Waits until the feed has changed.
#[utoipa::path(
    get, path = "/feed/changes", operation_id = "await_feed", tag = "nodes", params(FeedChangesQuery),
    responses((status = 200, body = FeedChangesDto))
)]
async fn changes(
    State(state): State<ApiState>,
    query: Parameters<FeedChangesQuery>,
) -> Result<Json<FeedChangesDto>, ApiError> {
    let query = parameters(query)?;
    // Those who wait for the feed and those who watch events are bounded together.
    let place = Arc::clone(&state.readers).try_acquire_owned();
    let _place = place.map_err(|_| ApiError::Busy("as many clients wait for events as may"))?;
    let wait = Duration::from_secs(query.wait_seconds());
    let changed = tokio::select! {
        changed = state.control.feed_changed(query.after.as_deref(), wait) => changed,
        () = state.stop.cancelled() => false,
    };
    Ok(Json(FeedChangesDto { changed }))
}

fn lines((head, nodes): (FeedHeadDto, Vec<FeedNodeDto>)) -> String {
    let mut text = String::with_capacity(128 + 256 * nodes.len());
    for line in iter::once(FeedLineDto::Head(head)).chain(nodes.into_iter().map(FeedLineDto::Node)) {
        // Texts and numbers always become JSON.
        text.push_str(&serde_json::to_string(&line).unwrap_or_default());
        text.push('\n');
    }
    text
}
