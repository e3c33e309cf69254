//! Bodies of answers: text of our own, or what a node sends.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use hezar_core::Stage;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::upload::AnswerEnd;
use crate::{AttemptError, failover::NodeLease, telemetry::AccessLogEntry};

/// The largest body that is waited for before its head is passed on.
const SMALL: u64 = 32 * 1024;

/// The body of an answer.
pub(super) enum ResponseBody {
    /// Text of our own.
    Text(Full<Bytes>),
    /// The target's.
    Node(Box<NodeBody>),
}

/// The body of an answer, as it comes or all of it.
pub(super) enum DownBody {
    Coming(Incoming),
    Whole(Full<Bytes>),
}

/// The body of a node's answer: the lease and the entry in the log end with it.
pub(super) struct NodeBody {
    body: DownBody,
    log_entry: AccessLogEntry,
    /// What ends the body before its time, until the client has been sent everything before it.
    broken: Option<hyper::Error>,
    _lease: NodeLease,
    _end: AnswerEnd,
}

impl DownBody {
    /// Waits for the whole body when it is small, so that its request can still be repeated; a large one comes as it comes.
    pub(super) async fn buffer_small(mut body: Incoming) -> hyper::Result<Self> {
        let small = body.size_hint().exact().filter(|length| (1..=SMALL).contains(length));
        let Some(length) = small else { return Ok(Self::Coming(body)) };
        let mut whole = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        Ok(Self::Whole(Full::new(whole.freeze())))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self {
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }
}

impl NodeBody {
    /// The next part. hyper throws away what it has not yet sent, the head too, when a body fails: it gets a turn to send it first, so
    /// that the client sees an answer that is cut short, and not none.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match self.body.poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                self.log_entry.code = AttemptError::from_stream(Stage::Relay, &error).code;
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => frame,
        }
    }
}

impl ResponseBody {
    pub(super) fn text(text: Bytes) -> Self {
        Self::Text(Full::new(text))
    }

    pub(super) fn empty() -> Self {
        Self::Text(Full::default())
    }

    pub(super) fn node(body: DownBody, end: AnswerEnd, log_entry: AccessLogEntry, lease: NodeLease) -> Self {
        Self::Node(Box::new(NodeBody { body, log_entry, broken: None, _lease: lease, _end: end }))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Self::Node(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Node(body) => match &body.body {
                DownBody::Coming(body) => body.is_end_stream(),
                DownBody::Whole(body) => body.is_end_stream(),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Node(body) => match &body.body {
                DownBody::Coming(body) => body.size_hint(),
                DownBody::Whole(body) => body.size_hint(),
            },
        }
    }
}
