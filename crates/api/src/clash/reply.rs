//! The answers that clients of the Clash API read: `{"message": …}` for errors, and JSON that ends with a line break.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::ApiError;

/// Why a request was refused: the status and the text of `message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClashError(pub(super) StatusCode, pub(super) String);

impl ClashError {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }

    pub(super) fn body_invalid() -> Self {
        Self::bad_request("Body invalid")
    }

    pub(super) fn not_found() -> Self {
        Self(StatusCode::NOT_FOUND, "Resource not found".to_owned())
    }

    pub(super) fn unauthorized() -> Self {
        Self(StatusCode::UNAUTHORIZED, "Unauthorized".to_owned())
    }

    pub(super) fn timeout() -> Self {
        Self(StatusCode::GATEWAY_TIMEOUT, "Timeout".to_owned())
    }

    pub(super) fn delay_failed() -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, "An error occurred in the delay test".to_owned())
    }

    pub(super) fn not_implemented(message: &str) -> Self {
        Self(StatusCode::NOT_IMPLEMENTED, message.to_owned())
    }
}

impl From<ApiError> for ClashError {
    fn from(error: ApiError) -> Self {
        Self(error.status(), error.to_string())
    }
}

impl IntoResponse for ClashError {
    fn into_response(self) -> Response {
        (self.0, json(&serde_json::json!({ "message": self.1 }))).into_response()
    }
}

/// A value as the body of an answer.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_text(json_line(value))
}

/// A value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> String {
    // What is shown here has texts as keys, and can always be written.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

/// JSON text as the body of an answer.
pub(super) fn json_text(text: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.into()).into_response()
}
