//! Bodies: what goes up to a node, and what comes down to the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hezar_core::Stage;
use http_body_util::{Either, Empty, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::{
    course::{Fail, NodeLease},
    journal::Journal,
    meter::Meter,
};

/// The body of a request on its way to a node.
pub(super) type UpBody = Either<Empty<Bytes>, Incoming>;

/// The body of an answer.
pub(super) enum OutBody {
    /// Our own words.
    Text(Full<Bytes>),
    /// The target's.
    Node(Box<Passage>),
}

/// An answer on its way from a node: the lease and the journal end with it.
pub(super) struct Passage {
    incoming: Incoming,
    meter: Arc<Meter>,
    journal: Journal,
    _lease: NodeLease,
}

impl OutBody {
    pub(super) fn text(text: Bytes) -> Self {
        Self::Text(Full::new(text))
    }

    pub(super) fn empty() -> Self {
        Self::Text(Full::default())
    }

    pub(super) fn node(incoming: Incoming, meter: Arc<Meter>, journal: Journal, lease: NodeLease) -> Self {
        Self::Node(Box::new(Passage { incoming, meter, journal, _lease: lease }))
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Self::Node(passage) => {
                let frame = Pin::new(&mut passage.incoming).poll_frame(cx);
                if let Poll::Ready(Some(Err(error))) = &frame {
                    passage.journal.code = Fail::of_stream(Stage::Relay, error).code;
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Node(passage) => passage.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Node(passage) => passage.incoming.size_hint(),
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.journal.counts = self.meter.counts();
    }
}
