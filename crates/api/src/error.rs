//! What the API answers when it cannot do what was asked.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hezar_core::CodeDoc;
use serde_json::json;
use thiserror::Error;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No token, or a wrong one.
    #[error("send the API token as 'Authorization: Bearer TOKEN'; it stands in the file 'token' of the data folder")]
    Unauthorized,
    /// The Host header names another site: a web page may be talking through the browser (DNS rebinding).
    #[error("the Host header is not an address of this API")]
    ForeignHost,
    /// A parameter is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such page, node or session.
    #[error("not found")]
    NotFound,
    /// No node that works fits the session.
    #[error("no healthy upstream proxy fits this session")]
    NoExit,
    /// So much waits to be written that nothing more fits.
    #[error(
        "the store has not been written for so long that no further change can be kept: see store in /api/v1/status"
    )]
    StoreOverflow,
    /// The store can never write this.
    #[error("the store refused the change for good: it is in force until the instance ends; see its log")]
    StoreRefused,
    /// The instance is shutting down.
    #[error("the instance is shutting down")]
    Unavailable,
}

impl ApiError {
    /// Every code with its meaning, for docs/errors.md.
    pub const CODES: &'static [CodeDoc] = &[
        CodeDoc::new("api-unauthorized", "The API token is missing or wrong (HTTP 401)."),
        CodeDoc::new(
            "api-foreign-host",
            "The Host header is not an address of the API, as in a DNS rebinding attack (HTTP 421).",
        ),
        CodeDoc::new("api-bad-request", "A parameter or the body of an API request is malformed (HTTP 400)."),
        CodeDoc::new("api-not-found", "The API has no such path, node or session (HTTP 404)."),
        CodeDoc::new("api-no-exit", "No healthy node fits the session that was to be rotated (HTTP 503)."),
        CodeDoc::new(
            "api-store-overflow",
            "The store has not been written for so long that a further change cannot be kept until it is (HTTP 503).",
        ),
        CodeDoc::new(
            "api-store-refused",
            "The database refused the change for good: it is in force and will be forgotten at the next start (HTTP 500).",
        ),
        CodeDoc::new("api-unavailable", "The instance is shutting down (HTTP 503)."),
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "api-unauthorized",
            Self::ForeignHost => "api-foreign-host",
            Self::BadRequest(_) => "api-bad-request",
            Self::NotFound => "api-not-found",
            Self::NoExit => "api-no-exit",
            Self::StoreOverflow => "api-store-overflow",
            Self::StoreRefused => "api-store-refused",
            Self::Unavailable => "api-unavailable",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::StoreRefused => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoExit | Self::StoreOverflow | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.code(), "message": self.to_string() }));
        (self.status(), body).into_response()
    }
}
