//! Errors as the client reads them: `application/problem+json` with a stable code (RFC 9457).

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;

/// The media type of errors (RFC 9457, section 3).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was refused: problem details as RFC 9457 has them, with a stable code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDto {
    /// The path of the explanation of the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The meaning of the HTTP status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The stable code, one of docs/errors.md.
    pub code: String,
    /// The same as `code`, for clients of earlier versions.
    pub error: String,
    /// The same as `detail`, for clients of earlier versions.
    pub message: String,
}

impl From<&ApiError> for ProblemDto {
    fn from(error: &ApiError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        Self {
            kind: format!("/api/v1/errors/{code}"),
            title: error.status().canonical_reason().unwrap_or_default().to_owned(),
            status: error.status().as_u16(),
            detail: detail.clone(),
            code: code.to_owned(),
            error: code.to_owned(),
            message: detail,
        }
    }
}

impl ProblemDto {
    /// The JSON of the body.
    fn json(&self) -> String {
        // Texts and a number can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status(), [(header::CONTENT_TYPE, PROBLEM_JSON)], ProblemDto::from(&self).json()).into_response()
    }
}

/// The answers that hyper gives itself, to heads that it cannot read, have no body: this gives the same head with the JSON of
/// other errors behind it. `None` for everything else.
pub(crate) fn with_body(answer: &[u8]) -> Option<Vec<u8>> {
    const EMPTY: &str = "content-length: 0\r\n";
    if !answer.starts_with(b"HTTP/1.1 4") || answer.len() > 1024 {
        return None;
    }
    let head = std::str::from_utf8(answer).ok().filter(|head| head.ends_with("\r\n\r\n") && head.contains(EMPTY))?;
    let (status, title, detail) = match head.split(' ').nth(1)? {
        "414" => (414, "URI Too Long", "the path is too long"),
        "431" => (431, "Request Header Fields Too Large", "the head of the request is too long"),
        "400" => (400, "Bad Request", "the request is not HTTP/1.1 as RFC 9112 has it"),
        other => (other.parse().ok()?, "Bad Request", "the request was refused"),
    };
    let error = ApiError::BadRequest(detail.to_owned());
    let body = ProblemDto { status, title: title.to_owned(), ..ProblemDto::from(&error) }.json();
    let length = format!("content-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\n", body.len());
    Some((head.replace(EMPTY, &length) + &body).into_bytes())
}
