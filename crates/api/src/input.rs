//! Reads what requests say: the parameters, the segment of the path, the JSON of the body.

use axum::extract::{
    Path, Query,
    rejection::{PathRejection, QueryRejection},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{ApiError, body::WholeBody};

/// The parameters of a request; [`parameters`] reads them.
pub(crate) type Parameters<T> = Result<Query<T>, QueryRejection>;
/// The variable segment of a path; [`segment`] reads it.
pub(crate) type Segment = Result<Path<String>, PathRejection>;

/// The parameters of a request that takes none: one that is given anyway is a mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

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

/// Reads the variable segment of a path.
///
/// # Errors
/// [`ApiError::BadRequest`] when it is no UTF-8.
pub(crate) fn segment(given: Segment) -> Result<String, ApiError> {
    given.map(|Path(read)| read).map_err(|error| ApiError::BadRequest(error.body_text()))
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
