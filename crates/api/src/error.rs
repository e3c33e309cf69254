//! The errors of the API with their codes and HTTP statuses.

use axum::http::StatusCode;
use hezar_core::CodeDoc;
use thiserror::Error;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No token, or a wrong one.
    #[error("send the API token as 'Authorization: Bearer TOKEN'; it stands in the file 'token' of the data folder")]
    Unauthorized,
    /// The token is good, and its scope does not allow this.
    #[error("the token's scope is {scope}: this needs a token of the scope {needed}")]
    Forbidden {
        /// What the token may do.
        scope: &'static str,
        /// What is needed.
        needed: &'static str,
    },
    /// Another site makes the request through a browser that is signed in.
    #[error("another site makes this request: the page's own requests carry the header X-Hezar-Page")]
    CrossSite,
    /// The Host header names another site: a web page may be talking through the browser (DNS rebinding).
    #[error("the Host header is not an address of this API")]
    ForeignHost,
    /// A parameter is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// The path knows other methods.
    #[error("this path does not know the method; the header Allow names those that it knows")]
    Method,
    /// The body is longer than the limit.
    #[error("the body is longer than {} MiB", .limit >> 20)]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The body is of a kind that is not read.
    #[error("{0}")]
    UnsupportedMedia(&'static str),
    /// The body did not come in time.
    #[error("the body was not complete in time")]
    BodyTimeout,
    /// As much of this work is under way as there may be.
    #[error("{0}; try again in a moment")]
    Busy(&'static str),
    /// More requests than there may be in a minute.
    #[error("too many requests; try again in a minute")]
    TooManyRequests,
    /// A bug of this program.
    #[error("the answer could not be made, by a bug of this program that its log names")]
    Internal,
    /// There is no such page, node or session.
    #[error("not found")]
    NotFound,
    /// This process has another part of the work than the API.
    #[error("this instance has not the role \"api\": it answers /healthz, /readyz and /metrics alone; ask another one")]
    OtherRole,
    /// It is there already, or it is said in another place.
    #[error("{0}")]
    Conflict(String),
    /// The store could not be written, and so nothing was changed.
    #[error("{0}")]
    NotStored(String),
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
        CodeDoc::new("api-forbidden", "The scope of the API token does not allow the request (HTTP 403)."),
        CodeDoc::new(
            "api-cross-site",
            "Another site makes a request in a browser that is signed in to the page, or the header X-Hezar-Page is missing (HTTP 403).",
        ),
        CodeDoc::new(
            "api-foreign-host",
            "The Host header is not an address of the API, as in a DNS rebinding attack (HTTP 421).",
        ),
        CodeDoc::new(
            "api-bad-request",
            "The request, a parameter or the body of an API request is malformed (HTTP 400; 414 or 431 when its head is too long).",
        ),
        CodeDoc::new("api-method", "The path does not know the method (HTTP 405)."),
        CodeDoc::new("api-too-large", "The body of an API request is longer than 32 MiB (HTTP 413)."),
        CodeDoc::new("api-media-type", "The body is compressed, or wrapped as a form (HTTP 415)."),
        CodeDoc::new("api-timeout", "The body of an API request did not come in time (HTTP 408)."),
        CodeDoc::new("api-busy", "As much of the work that was asked for is under way as there may be (HTTP 503)."),
        CodeDoc::new(
            "api-too-many-requests",
            "A subscription was read, or tokens were guessed, too often in a minute (HTTP 429).",
        ),
        CodeDoc::new("api-internal", "The answer could not be made; the log says why. This is a bug (HTTP 500)."),
        CodeDoc::new("api-not-found", "The API has no such path, node or session (HTTP 404)."),
        CodeDoc::new(
            "api-other-role",
            "The instance that was asked has not the role api; others of its cluster have it (HTTP 421).",
        ),
        CodeDoc::new(
            "api-conflict",
            "An object of this name is there already, or is said in the configuration file, or its address is taken, or a node that is to be rotated is no Tor circuit (HTTP 409).",
        ),
        CodeDoc::new(
            "api-not-stored",
            "The store could not be written, so that a change that must last was not made (HTTP 503).",
        ),
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
            Self::Forbidden { .. } => "api-forbidden",
            Self::CrossSite => "api-cross-site",
            Self::ForeignHost => "api-foreign-host",
            Self::BadRequest(_) => "api-bad-request",
            Self::Method => "api-method",
            Self::TooLarge { .. } => "api-too-large",
            Self::UnsupportedMedia(_) => "api-media-type",
            Self::BodyTimeout => "api-timeout",
            Self::Busy(_) => "api-busy",
            Self::TooManyRequests => "api-too-many-requests",
            Self::Internal => "api-internal",
            Self::NotFound => "api-not-found",
            Self::OtherRole => "api-other-role",
            Self::Conflict(_) => "api-conflict",
            Self::NotStored(_) => "api-not-stored",
            Self::NoExit => "api-no-exit",
            Self::StoreOverflow => "api-store-overflow",
            Self::StoreRefused => "api-store-refused",
            Self::Unavailable => "api-unavailable",
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::ForeignHost | Self::OtherRole => StatusCode::MISDIRECTED_REQUEST,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::StoreRefused => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy(_) | Self::NotStored(_) | Self::NoExit | Self::StoreOverflow | Self::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn every_error() -> Vec<ApiError> {
        let text = || "text".to_owned();
        vec![
            ApiError::Unauthorized,
            ApiError::Forbidden { scope: "read", needed: "admin" },
            ApiError::CrossSite,
            ApiError::ForeignHost,
            ApiError::BadRequest(text()),
            ApiError::Method,
            ApiError::TooLarge { limit: 32 << 20 },
            ApiError::UnsupportedMedia("text"),
            ApiError::BodyTimeout,
            ApiError::Busy("text"),
            ApiError::TooManyRequests,
            ApiError::Internal,
            ApiError::NotFound,
            ApiError::OtherRole,
            ApiError::Conflict(text()),
            ApiError::NotStored(text()),
            ApiError::NoExit,
            ApiError::StoreOverflow,
            ApiError::StoreRefused,
            ApiError::Unavailable,
        ]
    }

    #[test]
    fn each_error_has_a_documented_code_with_its_status() {
        let codes: HashSet<_> = every_error().iter().map(ApiError::code).collect();
        let documented: HashSet<_> = ApiError::CODES.iter().map(|row| row.code).collect();
        assert_eq!(codes, documented);
        assert_eq!(documented.len(), ApiError::CODES.len(), "no code has two rows");
        for error in every_error() {
            let meaning = ApiError::CODES.iter().find(|row| row.code == error.code()).unwrap().meaning;
            let status = format!("(HTTP {}", error.status().as_u16());
            assert!(meaning.contains(&status), "{}: {status} is not in {meaning:?}", error.code());
            assert!(error.status().is_client_error() || error.status().is_server_error());
        }
    }

    #[test]
    fn texts_say_what_to_do() {
        assert!(ApiError::Unauthorized.to_string().contains("Authorization: Bearer"));
        assert!(ApiError::TooLarge { limit: 32 << 20 }.to_string().contains("32 MiB"));
        let forbidden = ApiError::Forbidden { scope: "read", needed: "admin" }.to_string();
        assert!(forbidden.contains("read") && forbidden.contains("admin"), "{forbidden}");
    }
}
