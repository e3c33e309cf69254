//! `/storage/{key}`: a place where dashboards keep settings of their own.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::get,
};

use super::{
    ClashState,
    reply::{ClashError, json_text},
};
use crate::body::WholeBody;

/// The most bytes under one key.
const MAX_VALUE: usize = 1 << 20;
/// The longest key, in bytes.
const MAX_KEY: usize = 256;

pub(super) fn routes() -> Router<ClashState> {
    Router::new().route("/storage/{key}", get(read).put(write).delete(remove))
}

/// What is stored; `null` when that is nothing.
async fn read(State(state): State<ClashState>, Path(key): Path<String>) -> Response {
    let stored = state.api.control.stored_value(&key);
    json_text(format!("{}\n", stored.as_deref().unwrap_or("null")))
}

async fn write(
    State(state): State<ClashState>,
    Path(key): Path<String>,
    WholeBody(body): WholeBody,
) -> Result<StatusCode, ClashError> {
    if body.len() > MAX_VALUE {
        return Err(ClashError(StatusCode::PAYLOAD_TOO_LARGE, "a value has at most 1 MiB".to_owned()));
    }
    if key.len() > MAX_KEY {
        return Err(ClashError::bad_request("a key has at most 256 bytes"));
    }
    // The text itself is kept, so that it comes back as it was.
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
    let text = std::str::from_utf8(&body).ok().filter(|_| is_json).ok_or_else(ClashError::body_invalid)?;
    state.api.control.store_value(&key, Some(Arc::from(text))).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(State(state): State<ClashState>, Path(key): Path<String>) -> Result<StatusCode, ClashError> {
    state.api.control.store_value(&key, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
