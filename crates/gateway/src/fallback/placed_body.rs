//! The body of an answer to a stranger, who has a place until it is over.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hezar_engine::server::WebBody;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

/// The body with the place, which is free again when this is dropped.
pub(super) struct PlacedBody {
    body: WebBody,
    _place: OwnedSemaphorePermit,
}

impl PlacedBody {
    /// Holds `place` for as long as the body lives.
    pub(super) const fn new(body: WebBody, place: OwnedSemaphorePermit) -> Self {
        Self { body, _place: place }
    }
}

impl Body for PlacedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
