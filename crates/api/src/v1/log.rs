//! The end of the log, with a bounded wait for what comes.

use std::time::Duration;

use axum::{Json, extract::State};
use tokio::time::{Instant, timeout_at};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, LogPage, LogQuery,
    input::{Parameters, parameters},
    state::ApiState,
};

/// The longest wait for a line, in seconds.
const LONGEST_WAIT: u64 = 60;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(log))
}

/// The last lines of the log, or those that follow.
#[utoipa::path(
    get, path = "/log", operation_id = "read_log", tag = "status", params(LogQuery),
    responses((status = 200, body = LogPage))
)]
async fn log(State(state): State<ApiState>, query: Parameters<LogQuery>) -> Result<Json<LogPage>, ApiError> {
    let mut query = parameters(query)?;
    let end = Instant::now() + Duration::from_secs(query.wait.unwrap_or_default().min(LONGEST_WAIT));
    loop {
        // Whoever waits for a change first looks, so that no line falls between the two.
        let mut changes = state.control.log_changes();
        changes.mark_unchanged();
        let page = state.control.log(&query)?;
        if !page.items.is_empty() || query.wait.unwrap_or_default() == 0 {
            return Ok(Json(page));
        }
        query.after = Some(page.last);
        let changed = tokio::select! {
            changed = timeout_at(end, changes.changed()) => matches!(changed, Ok(Ok(()))),
            () = state.stop.cancelled() => false,
        };
        if !changed {
            return Ok(Json(page));
        }
    }
}
