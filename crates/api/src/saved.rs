//! The answer to a change: what was done, and whether it is on the disk.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change that is in force. With `stored` it survives a crash (HTTP 200); without it the store is behind, and the
/// change is written as soon as it can be (HTTP 202): `GET /api/v1/status` says why and when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Saved<T> {
    /// What was done.
    #[serde(flatten)]
    pub done: T,
    /// Whether it is in the store.
    #[serde(default = "yes")]
    #[schema(required = true)]
    pub stored: bool,
}

/// What an instance that does not say so means.
const fn yes() -> bool {
    true
}

impl<T> Saved<T> {
    /// The same about another value.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Saved<U> {
        Saved { done: map(self.done), stored: self.stored }
    }
}

impl<T: Serialize> IntoResponse for Saved<T> {
    fn into_response(self) -> Response {
        let status = if self.stored { StatusCode::OK } else { StatusCode::ACCEPTED };
        (status, Json(self)).into_response()
    }
}
