//! Reads a body to its end within a limit, and undoes its compression.

use bytes::{Bytes, BytesMut};
use hezar_engine::{DialError, http::HttpResponse};
use thiserror::Error;

use crate::content::{self, ContentError};

#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Exchange(#[from] DialError),
}

/// The whole body; neither it nor what came over the wire may be longer than `limit` bytes.
pub(super) async fn read(mut response: HttpResponse, limit: u64) -> Result<Bytes, BodyError> {
    let announced = response.header("content-length").and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(ContentError::TooLarge.into());
    }
    let declared: Vec<&str> =
        response.headers().get_all("content-encoding").iter().filter_map(|value| value.to_str().ok()).collect();
    let declared = declared.join(",");
    let mut wire = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if response.received() > limit {
            return Err(ContentError::TooLarge.into());
        }
        wire.extend_from_slice(&piece);
    }
    Ok(content::decode(wire.freeze(), &declared, limit).await?)
}
