//! Reads request bodies, bounded in bytes and in time; compressed and wrapped ones are refused.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use crate::ApiError;

/// The most bytes of links in one request.
pub(crate) const MAX_BODY: usize = 32 << 20;
/// How long a client may be silent in the middle of its body.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a whole body may take.
const WHOLE: Duration = Duration::from_secs(120);
/// What is read of a body that is too long before it is refused, so that the client gets to read the answer.
const HEARD_OUT: Duration = Duration::from_secs(2);

/// The whole body of a request.
#[derive(Debug)]
pub(crate) struct WholeBody(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for WholeBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_kind(request.headers())?;
        let (parts, mut body) = request.into_parts();
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > MAX_BODY as u64) {
            hear_out(&mut body).await;
            return Err(ApiError::TooLarge { limit: MAX_BODY });
        }
        let end = Instant::now() + WHOLE;
        let mut bytes = Vec::new();
        loop {
            let next = timeout_at(end, timeout(SILENCE, body.frame())).await;
            let Ok(Ok(frame)) = next else { return Err(ApiError::BodyTimeout) };
            let Some(frame) = frame else { return Ok(Self(bytes.into())) };
            let frame = frame.map_err(|error| ApiError::BadRequest(format!("the body is broken: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > MAX_BODY {
                hear_out(&mut body).await;
                return Err(ApiError::TooLarge { limit: MAX_BODY });
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// A client that is still sending would lose the answer with its connection.
async fn hear_out(body: &mut Body) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // What has not come by then is cut off.
    let _ = timeout(HEARD_OUT, all).await;
}

/// Compressed and wrapped bodies would be read as lists of nonsense.
fn check_kind(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let encoding = value(header::CONTENT_ENCODING);
    if !encoding.is_empty() && encoding != "identity" {
        return Err(ApiError::UnsupportedMedia("a body must not be compressed (Content-Encoding)"));
    }
    if value(header::CONTENT_TYPE).starts_with("multipart/") {
        return Err(ApiError::UnsupportedMedia(
            "send the text itself as the body, as curl --data-binary @FILE does, not as a form",
        ));
    }
    Ok(())
}
