//! `/ui/`: the files of a dashboard, from the folder of the settings.

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use tower_http::services::ServeDir;

use super::ClashState;
use crate::ApiError;

pub(super) fn routes() -> Router<ClashState> {
    Router::new()
        .route("/ui", get(async || Redirect::temporary("/ui/")))
        .route("/ui/", get(file))
        .route("/ui/{*path}", get(file))
}

/// A file of the folder, with the type that its name says. Nothing outside the folder is named by a path.
async fn file(State(state): State<ClashState>, mut request: Request) -> Response {
    let Some(folder) = state.api.control.dashboard_instance().settings.ui else {
        return ApiError::NotFound.into_response();
    };
    let path = request.uri().path().strip_prefix("/ui").unwrap_or("/").to_owned();
    let Ok(uri) = path.parse::<Uri>() else { return StatusCode::NOT_FOUND.into_response() };
    *request.uri_mut() = uri;
    // A folder without its last slash is led to the one with it, which must not lead out of `/ui/`.
    match ServeDir::new(folder).redirect_path_prefix("/ui").try_call(request).await {
        Ok(answer) if answer.status() != StatusCode::NOT_FOUND => answer.into_response(),
        Ok(_) => ApiError::NotFound.into_response(),
        Err(error) => {
            // Everybody may ask for any path: that is no news for the log.
            tracing::debug!(%error, path, "a file of the dashboard cannot be read");
            ApiError::NotFound.into_response()
        }
    }
}
