//! Reads what requests say: the parameters, the segment of the path, the JSON of the body.

use axum::{
    extract::{
        FromRequestParts, Path, Query,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{ApiError, body::WholeBody};

/// The parameters of a request; [`parameters`] reads them.
pub(crate) type Parameters<T> = Result<Query<T>, QueryRejection>;

/// The parameters of a request that takes none: one that is given anyway is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// The variable segment of a path; one that is no UTF-8 is refused.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parameters(Query::from_request_parts(parts, state).await)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(read)| Self(read)).map_err(|error: PathRejection| ApiError::BadRequest(error.body_text()))
    }
}

/// Reads the parameters in a request's path; what is not known is refused.
///
/// # Errors
/// [`ApiError::BadRequest`] with what is wrong.
pub(crate) fn parameters<T>(given: Parameters<T>) -> Result<T, ApiError> {
    given.map(|Query(read)| read).map_err(|error| {
        let text = error.body_text();
        ApiError::BadRequest(format!(
            "the query: {}",
            text.rsplit_once("query string: ").map_or(&*text, |(_, what)| what)
        ))
    })
}

/// Reads a body of JSON; an empty one says nothing.
///
/// # Errors
/// [`ApiError::BadRequest`] with what is wrong.
pub(crate) fn json_body<T: DeserializeOwned>(WholeBody(body): &WholeBody) -> Result<T, ApiError> {
    let text: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { body };
    // An array would be read as the fields of an object in their order, and an empty one as every default.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::BadRequest("the body is not a JSON object".to_owned()));
    }
    serde_json::from_slice(text).map_err(|error| ApiError::BadRequest(error.to_string()))
}
