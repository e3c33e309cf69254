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

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Wanted {
        count: u32,
        name: Option<String>,
    }

    fn body(text: &'static str) -> Result<Wanted, ApiError> {
        json_body(&WholeBody(Bytes::from_static(text.as_bytes())))
    }

    fn query(text: &str) -> Result<Wanted, ApiError> {
        parameters(Query::try_from_uri(&format!("/x?{text}").parse().unwrap()))
    }

    #[test]
    fn a_body_is_a_json_object_or_empty() {
        assert_eq!(body(""), Ok(Wanted::default()));
        assert_eq!(body(" \r\n"), Ok(Wanted::default()));
        assert_eq!(body(" {\"count\": 2}"), Ok(Wanted { count: 2, name: None }));
        for wrong in
            ["[]", "[2]", "null", "2", "\"x\"", "{", "{\"count\": -1}", "{\"cuont\": 1}", "{} {}", "\u{feff}{}"]
        {
            assert!(matches!(body(wrong), Err(ApiError::BadRequest(_))), "{wrong}");
        }
    }

    #[test]
    fn mistakes_in_a_query_are_named_without_the_library_s_own_words() {
        assert_eq!(query("count=3&name=a%20b"), Ok(Wanted { count: 3, name: Some("a b".to_owned()) }));
        assert_eq!(query(""), Ok(Wanted::default()));
        for wrong in ["cuont=1", "count=x", "count=-1", "count="] {
            let Err(ApiError::BadRequest(text)) = query(wrong) else { panic!("{wrong}") };
            assert!(text.starts_with("the query: ") && !text.contains("query string"), "{text}");
        }
        assert!(query("cuont=1").unwrap_err().to_string().contains("cuont"), "the parameter is named");
        let none: Result<NoParameters, _> = parameters(Query::try_from_uri(&"/x?y=1".parse().unwrap()));
        assert!(none.is_err());
    }
}
